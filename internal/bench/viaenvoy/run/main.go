// Command run measures what authentication costs through Envoy, alone, and prints the
// rows as JSON. It builds the server; the stock one is a package to build, or a binary.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"postern/internal/bench/viaenvoy"
	"postern/internal/testenv"
)

func main() {
	short := flag.Bool("short", false, "only see that everything works; the figures say nothing")
	stock := flag.String("stock", "", "the binary of a server that allows everything; empty: it is built")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *short, *stock)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "viaenvoy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, stock string) error {
	root, err := testenv.Root()
	if err != nil {
		return err
	}
	envoy, err := testenv.EnvoyBinary(ctx, filepath.Join(root, ".run", "envoy"))
	if err != nil {
		return err
	}
	state, err := os.MkdirTemp("", "viaenvoy-")
	if err != nil {
		return err
	}
	o := viaenvoy.Options{Root: root, Envoy: envoy, Postern: filepath.Join(state, "postern"), Stock: stock, State: state, Short: short, Log: os.Stderr}
	build := map[string]string{o.Postern: "./cmd/postern"}
	if stock == "" {
		o.Stock = filepath.Join(state, "noop")
		build[o.Stock] = "./internal/bench/noop"
	}
	for binary, source := range build {
		command := exec.CommandContext(ctx, "go", "build", "-o", binary, source)
		command.Dir = root
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", source, err, output)
		}
	}
	rows, err := viaenvoy.Measure(ctx, o)
	if err != nil {
		return fmt.Errorf("%w (the logs are in %s)", err, state)
	}
	if err := os.RemoveAll(state); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(rows)
}
