package drill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/testenv"
)

// rig is what all drills use, made by TestMain and not changed after it.
var rig struct {
	binary    string // the server
	dir       string
	postgres  *testenv.Postgres
	template  func() error // makes the database that others are copies of
	databases atomic.Int32
}

// template is a database with the schema and nothing else.
const template = "template"

func TestMain(m *testing.M) {
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		code = 1
	}
	os.Exit(code)
}

func prepare(m *testing.M) (code int, err error) {
	ctx := context.Background()
	root, err := testenv.Root()
	if err != nil {
		return 0, err
	}
	if rig.dir, err = os.MkdirTemp("", "postern-drill-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(rig.dir)
	rig.binary = filepath.Join(rig.dir, "postern")
	build := exec.CommandContext(ctx, "go", "build", "-o", rig.binary, "./cmd/postern")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build postern: %w\n%s", err, output)
	}
	if rig.postgres, err = testenv.StartPostgres(ctx, ""); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rig.postgres.Stop()) }()
	rig.template = sync.OnceValue(func() error {
		if err := rig.postgres.CreateDatabase(ctx, template, ""); err != nil {
			return err
		}
		return migrate(ctx, rig.postgres.URL(template))
	})
	return m.Run(), nil
}

func migrate(ctx context.Context, store string) error {
	command := exec.CommandContext(ctx, rig.binary, "migrate", "up")
	command.Env = append(environment(), "POSTERN_STORE_URL="+store)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("postern migrate up: %w\n%s", err, output)
	}
	return nil
}

// database makes an empty one of the shared server and returns its name.
func database(t *testing.T) string {
	t.Helper()
	if err := rig.template(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprint("drill_", rig.databases.Add(1))
	if err := rig.postgres.CreateDatabase(t.Context(), name, template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rig.postgres.DropDatabase(context.Background(), name); err != nil {
			t.Error(err)
		}
	})
	return name
}

// whole tells which form of the drills is asked for.
func whole() bool { return os.Getenv("POSTERN_DRILL") == "whole" }

// either is a number or a time in the short form and in the whole one.
func either[T int | time.Duration](short, long T) T {
	if whole() {
		return long
	}
	return short
}
