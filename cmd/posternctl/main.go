// Command posternctl manages a Postern server through its management API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"postern/internal/ctl"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(ctl.Run(ctx, os.Args[1:], ctl.Options{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: ctl.BuildVersion(),
	}))
}
