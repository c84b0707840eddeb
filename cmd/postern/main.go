// Command postern is the authorization server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"postern/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command.New(os.LookupEnv).ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "postern:", err)
	if usage := (*command.UsageError)(nil); errors.As(err, &usage) {
		os.Exit(2)
	}
	os.Exit(1)
}
