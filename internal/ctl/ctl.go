// Package ctl is the companion CLI, posternctl: a client of the gRPC management
// API. It knows that API and the terminal; it knows no store and no engine.
package ctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the call failed, or a checked request is denied
	exitUsage  = 2 // the command line is wrong; nothing was sent
)

// Options are what the CLI gets of its surroundings. All are required.
type Options struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Version        string
}

// BuildVersion is the version the Go toolchain stamped into the binary.
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// Run executes one command line, without the program's name, and returns the
// exit code.
func Run(ctx context.Context, args []string, o Options) int {
	a := &app{Options: o}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errDenied) {
		return exitFailed // the command's output has told everything
	}
	fmt.Fprintln(o.Stderr, "posternctl: "+a.explain(err))
	if _, usage := errors.AsType[usageError](err); usage || !a.started {
		return exitUsage
	}
	return exitFailed
}

// errDenied ends a check whose decision is a denial.
var errDenied = errors.New("denied")

// usageError is a command line that is wrong though it could be parsed.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// app is one run: the surroundings and the flags that all commands share.
type app struct {
	Options
	address  string
	keyFile  string
	output   string
	insecure bool
	timeout  time.Duration
	started  bool // the command line was accepted
}

func (a *app) root() *cobra.Command {
	root := a.group("posternctl", "Manage a Postern server")
	root.Long = "posternctl manages a Postern server through its management API.\n\n" +
		"The administrator's key is taken from POSTERN_ADMIN_KEY or from the file that --admin-key-file names,\n" +
		"never from the command line, where other users of the machine could read it."
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	flags := root.PersistentFlags()
	flags.StringVar(&a.address, "address", "", "URL of the management API (default: POSTERN_ADMIN_URL, or "+defaultAddress+")")
	flags.StringVar(&a.keyFile, "admin-key-file", "", "file that holds the administrator's key (default: POSTERN_ADMIN_KEY)")
	flags.BoolVar(&a.insecure, "insecure", false, "send the key in clear text to an address that is not loopback")
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, "how long a command may take")
	flags.StringVarP(&a.output, "output", "o", "table", "table or json")
	root.AddCommand(
		a.organizations(), a.users(), a.keys(), a.tokens(), a.resources(), a.credits(), a.audit(), a.replicas(), a.check(), a.version(),
	)
	return root
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.Stdout, "posternctl "+a.Version)
			return err
		},
	}
}

// group is a command that only has commands below it.
func (a *app) group(use, short string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("a command is missing; see %s --help", c.CommandPath())
			}
			return usage("there is no command %q; see %s --help", args[0], c.CommandPath())
		},
	}
	group.AddCommand(commands...)
	return group
}

// call is a command that calls the API. Use names its arguments; exactly as many
// must be given.
func (a *app) call(use, short string, run func(ctx context.Context, conn *grpc.ClientConn, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: exactly(strings.Fields(use)[1:]),
		RunE: func(c *cobra.Command, args []string) error {
			if a.output != "table" && a.output != "json" {
				return usage("--output: %q is unknown; use table or json", a.output)
			}
			conn, err := a.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			a.started = true
			ctx, cancel := context.WithTimeout(c.Context(), a.timeout)
			defer cancel()
			return run(ctx, conn, args)
		},
	}
}

func exactly(names []string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usage("%s is missing; see %s --help", names[len(args)], c.CommandPath())
		}
		if len(args) > len(names) {
			return usage("%q is one argument too many; see %s --help", args[len(names)], c.CommandPath())
		}
		return nil
	}
}

// required refuses an empty flag before anything is sent.
func required(flags ...string) error {
	for i := 0; i+1 < len(flags); i += 2 {
		if flags[i+1] == "" {
			return usage("--%s is missing; it is required", flags[i])
		}
	}
	return nil
}
