package ctl_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"postern/internal/ctl"
	"postern/internal/testenv/servertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"posternctl": func() {
			os.Exit(ctl.Run(context.Background(), os.Args[1:], ctl.Options{
				Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: "v0.0.0-test",
			}))
		},
	})
}

// Each script talks to a server of its own, over an empty store.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			run(t, file, servertest.Start(t).URL)
		})
	}
}

// run runs one script against a server.
func run(t *testing.T, file, url string) {
	testscript.Run(t, testscript.Params{
		Files:               []string{file},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("POSTERN_ADMIN_URL", url)
			env.Setenv("POSTERN_ADMIN_KEY", servertest.AdminKey)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "keep": keep, "lines": lines},
	})
}

// exits asks for the exit code of a posternctl command: exits 2 key create.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits code [argument...]")
	}
	err := ts.Exec("posternctl", args[1:]...)
	want := "exit status " + args[0]
	if args[0] == "0" && err == nil {
		return
	}
	if err == nil || err.Error() != want {
		ts.Fatalf("posternctl %s: %v, want %s", strings.Join(args[1:], " "), err, want)
	}
}

// keep makes a variable of the last standard output: keep KEY, or of a column of
// its second line, the first row of a table: keep ID 1.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: keep name [column]")
	}
	text := strings.TrimSpace(ts.ReadFile("stdout"))
	if len(args) > 1 {
		rows := strings.Split(text, "\n")
		text = strings.Fields(rows[len(rows)-1])[args[1][0]-'1']
	}
	ts.Setenv(args[0], text)
}

// lines asks how many lines the last standard output has: lines 3.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	text := strings.TrimSuffix(ts.ReadFile("stdout"), "\n")
	if got := len(strings.Split(text, "\n")); neg || len(args) != 1 || args[0] != string(rune('0'+got)) {
		ts.Fatalf("the output has %d lines, want %v", got, args)
	}
}
