// Command run is `make run`: the demo in the foreground, until Ctrl-C or SIGTERM.
// It knows only how to be told to stop.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"postern/internal/demo"
	"postern/internal/testenv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "postern:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := testenv.Root()
	if err != nil {
		return err
	}
	offset := 0
	if text := os.Getenv("PORT_OFFSET"); text != "" {
		if offset, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("PORT_OFFSET is %q; use a whole number, such as 1000", text)
		}
	}
	return demo.Run(ctx, demo.Options{
		Root: root, Offset: offset, Store: os.Getenv("STORE"), Cache: os.Getenv("CACHE"), Output: os.Stdout,
	})
}
