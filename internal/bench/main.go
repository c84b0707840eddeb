// Command bench is `make bench`: it measures Postern against a stock server that
// allows everything, in pairs under the same load, and writes tables and pictures. It
// knows what is measured; the packages below it know how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"

	"postern/internal/bench/rig"
)

// waiting is how many connections of the loads keep a rate at once, at most.
const waiting = 8

func main() {
	short := flag.Bool("short", false, "only see that everything works; the figures say nothing")
	only := flag.String("only", "", "measure only what matches the regular expression, such as '^main/authenta'")
	out := flag.String("out", "bench", "folder for the results")
	docs := flag.String("docs", "docs", "folder for benchmarks.md and its pictures")
	flag.Parse()
	// A connection that waits in the kernel for its next request keeps a P of Go's
	// scheduler meanwhile. With one for each, an answer never waits for a free one.
	runtime.GOMAXPROCS(runtime.NumCPU() + waiting)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *short, *only, report{out: *out, docs: *docs})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, short bool, only string, to report) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	r, err := rig.New(ctx)
	if err != nil {
		return err
	}
	b := &bench{rig: r, plan: newPlan(short), only: pattern, log: os.Stdout}
	if err := b.findCPUs(); err != nil {
		return err
	}
	if short {
		to = report{out: r.Path("bench"), docs: r.Path("docs")}
	}
	b.results.Machine = describe(ctx)
	if err := b.run(ctx, func() error {
		if b.measured == 0 {
			return nil
		}
		return b.write(to)
	}); err != nil {
		return err // the folder stays: what failed may name a log in it
	}
	if b.measured == 0 {
		return fmt.Errorf("-only %q matches nothing; the names are those that a run prints", only)
	}
	failed := errors.Join(b.failures...)
	if failed == nil {
		r.Close()
	}
	return failed
}
