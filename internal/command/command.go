// Package command is the command line of the server: serve, migrate, config. It
// reads the configuration, hands it to the composition root and prints; it
// decides nothing.
package command

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"postern/authz/profile"
	"postern/envoy/trim"
	"postern/internal/config"
	"postern/internal/observe"
	"postern/internal/wire"
)

// Env looks up an environment variable, as os.LookupEnv does.
type Env = func(string) (string, bool)

// UsageError is a command line or a configuration that cannot be used as it is.
type UsageError struct{ Err error }

// Error is the problem and its remedy.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the problem.
func (e *UsageError) Unwrap() error { return e.Err }

// New makes the command tree.
func New(env Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "postern",
		Short: "A small guarded gate: an external authorization server for Envoy",
		Long: "Postern authenticates requests for services behind Envoy (ext_authz v3).\n" +
			"Start with: postern migrate up, then postern serve. Every setting is a flag,\n" +
			"an environment variable and a line of the file that --config names.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(os.Stdout)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	root.AddCommand(serve(env), migrate(env), configuration(env), version())
	return root
}

// load reads the configuration of a command that has its flags.
func load(cmd *cobra.Command, env Env) (config.Config, error) {
	c, err := config.LoadFlags(cmd.Flags(), env)
	if err != nil {
		return c, &UsageError{err}
	}
	return c, nil
}

func serve(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve checks and the management API until SIGTERM", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load(cmd, env)
			if err != nil {
				return err
			}
			if err := c.RequireAdminKey(); err != nil {
				return &UsageError{err}
			}
			log, err := observe.NewLogger(cmd.ErrOrStderr(), c.Log.Format, c.Log.Level)
			if err != nil {
				return &UsageError{err}
			}
			defer runtime.KeepAlive(tuneMemory(env, log))
			server, err := wire.New(cmd.Context(), c, env, log)
			if err != nil {
				return err
			}
			return server.Run(cmd.Context())
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

func migrate(env Env) *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the store's schema to what this build needs"}
	url := func(cmd *cobra.Command) (string, error) {
		c, err := load(cmd, env)
		return c.Store.URL, err
	}
	up := &cobra.Command{
		Use: "up", Short: "Apply what is pending; does nothing on a current schema", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := url(cmd)
			if err != nil {
				return err
			}
			applied, err := wire.Migrate(cmd.Context(), at)
			if err != nil {
				return err
			}
			if len(applied) == 0 {
				cmd.Println("the schema is current")
			}
			for _, name := range applied {
				cmd.Println("applied", name)
			}
			return nil
		},
	}
	status := &cobra.Command{
		Use: "status", Short: "Tell the schema's version and what is pending", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := url(cmd)
			if err != nil {
				return err
			}
			s, err := wire.SchemaStatus(cmd.Context(), at)
			if err != nil {
				return err
			}
			cmd.Printf("schema %d, this build needs %d\n", s.Current, s.Needed)
			for _, name := range s.Pending {
				cmd.Println("pending", name)
			}
			return nil
		},
	}
	for _, sub := range []*cobra.Command{up, status} {
		config.AddFlags(sub.Flags())
		cmd.AddCommand(sub)
	}
	return cmd
}

func configuration(env Env) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the configuration and the profiles, or print their schemas"}
	check := &cobra.Command{
		Use: "check", Short: "Read the configuration and compile the profiles, without starting anything", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := profiles(cmd, env)
			if err != nil {
				return err
			}
			for _, name := range set.Names() {
				cmd.Println("profile", name, "is good")
			}
			return nil
		},
	}
	config.AddFlags(check.Flags())
	var ofProfile bool
	schema := &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of the configuration file, or of a profile", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			if ofProfile {
				cmd.Print(string(profile.Schema()))
				return
			}
			cmd.Print(string(config.Schema()))
		},
	}
	schema.Flags().BoolVar(&ofProfile, "profile", false, "the schema of a profile")
	cmd.AddCommand(check, schema, headers(env))
	return cmd
}

func headers(env Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "headers", Short: "Print what an Envoy must know of the profiles to send only the headers they read", Args: cobra.NoArgs,
		Long: "Print the parts of an Envoy configuration like envoy/fast.yaml that follow from the\n" +
			"profiles: the headers to send, and the names to remove from what clients send.\n" +
			"They change with the profiles: change both together.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := profiles(cmd, env)
			if err != nil {
				return err
			}
			cmd.Print(trim.Of(set).YAML())
			return nil
		},
	}
	config.AddFlags(cmd.Flags())
	return cmd
}

// profiles compiles those that the configuration names.
func profiles(cmd *cobra.Command, env Env) (*profile.Set, error) {
	c, err := load(cmd, env)
	if err != nil {
		return nil, err
	}
	set, err := profile.Load(c.Profiles.Presets, c.Profiles.Files...)
	if err != nil {
		return nil, &UsageError{err}
	}
	return set, nil
}

func version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			text := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
				text = info.Main.Version
			}
			cmd.Println("postern", text)
		},
	}
}
