package command_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/internal/command"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"postern": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		if err := command.New(os.LookupEnv).ExecuteContext(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "postern:", err)
			if usage := (*command.UsageError)(nil); errors.As(err, &usage) {
				os.Exit(2)
			}
			os.Exit(1)
		}
	}})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata"})
}
