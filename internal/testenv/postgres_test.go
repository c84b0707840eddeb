package testenv_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/testenv"
)

func startPostgres(t *testing.T, dir string) *testenv.Postgres {
	t.Helper()
	p, err := testenv.StartPostgres(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ask returns the one value that the query finds.
func ask(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var answer string
	if err := conn.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return answer
}

func TestPostgresKeepsWhatItCommittedThroughARestartAndACrash(t *testing.T) {
	p := startPostgres(t, "")
	if fsync := ask(t, p.URL("postgres"), "SHOW fsync"); fsync != "on" {
		t.Errorf("fsync is %s: a commit would not be on disk", fsync)
	}
	if err := p.CreateDatabase(t.Context(), "one", ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Exec(t.Context(), "one", `CREATE TABLE kept (word text)`, `INSERT INTO kept VALUES ('first')`); err != nil {
		t.Fatal(err)
	}
	if err := p.CreateDatabase(t.Context(), "two", "one"); err != nil {
		t.Fatal(err)
	}
	crash := func(ctx context.Context) error {
		p.Kill()
		return p.Start(ctx)
	}
	for name, again := range map[string]func(context.Context) error{"restart": p.Restart, "crash": crash} {
		if err := again(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, database := range []string{"one", "two"} {
			if word := ask(t, p.URL(database), "SELECT word FROM kept"); word != "first" {
				t.Errorf("after a %s database %s holds %q", name, database, word)
			}
		}
	}
	if err := p.DropDatabase(t.Context(), "two"); err != nil {
		t.Error(err)
	}
}

func TestStandbyHasEveryCommitWhenItTakesOver(t *testing.T) {
	first := startPostgres(t, "")
	if err := first.CreateDatabase(t.Context(), "one", ""); err != nil {
		t.Fatal(err)
	}
	standby, err := first.StartStandby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Stop() })
	if err := first.Exec(t.Context(), "one", `CREATE TABLE kept (word text)`, `INSERT INTO kept VALUES ('first')`); err != nil {
		t.Fatal(err)
	}
	both := standby.URL("one", first)
	if readOnly := ask(t, both, "SHOW transaction_read_only"); readOnly != "off" {
		t.Error("the standby was taken for the one that writes")
	}
	first.Kill()
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if word := ask(t, both, "SELECT word FROM kept"); word != "first" {
		t.Errorf("the new server holds %q", word)
	}
	if err := standby.Exec(t.Context(), "one", `INSERT INTO kept VALUES ('second')`); err != nil {
		t.Error(err)
	}
}

func TestPostgresOfAFolderFindsItsDataAgain(t *testing.T) {
	dir, err := os.MkdirTemp("", "postgres-kept-") // a test's own folder lies where only root may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "below")
	for i := range 2 {
		p, err := testenv.StartPostgres(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			err = p.CreateDatabase(t.Context(), "one", "")
		} else {
			ask(t, p.URL("one"), "SELECT 'here'")
		}
		if err := errors.Join(err, p.Stop()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPostgresThatCannotStartSaysWhy(t *testing.T) {
	dir, err := os.MkdirTemp("", "postgres-broken-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if p, err := testenv.StartPostgres(ctx, dir); err == nil {
		_ = p.Stop()
		t.Error("a server started on data that is none")
	}
}
