package postgres_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"postern/authz/identity"
	"postern/internal/testenv"
	"postern/store"
	"postern/store/postgres"
	"postern/store/storetest"
)

// server is the real PostgreSQL of this package's tests.
var server *testenv.Postgres

// template is a migrated database that holds nothing.
const template = "template"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	var err error
	if server, err = testenv.StartPostgres(ctx, ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Stop() }()
	if err = server.CreateDatabase(ctx, template, ""); err == nil {
		_, err = postgres.Migrate(ctx, identity.NewSecret(server.URL(template)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, server.URL(migrated(t))) })
}

// databases are those that no test uses at the moment.
var databases struct {
	sync.Mutex
	made int
	free []string
}

// migrated returns the name of an empty database that is the test's own. One that
// an earlier test has left is emptied: that is quicker than to make another.
func migrated(t testing.TB) string {
	t.Helper()
	databases.Lock()
	defer databases.Unlock()
	var name string
	if last := len(databases.free) - 1; last >= 0 {
		name, databases.free = databases.free[last], databases.free[:last]
		if err := server.Exec(t.Context(), name, empty); err != nil {
			t.Fatal(err)
		}
	} else {
		databases.made++
		name = fmt.Sprintf("test_%d", databases.made)
		if err := server.CreateDatabase(t.Context(), name, template); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		databases.Lock()
		defer databases.Unlock()
		databases.free = append(databases.free, name)
	})
	return name
}

// empty leaves a database as its migrations have. Whoever still talks to it is cut off.
const empty = `DO $$
	DECLARE name text;
	BEGIN
		PERFORM pg_terminate_backend(pid, 2000) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid();
		SET LOCAL session_replication_role = replica; -- in any order, without asking for references
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('goose_db_version', 'feed') LOOP
			EXECUTE format('DELETE FROM %I', name);
		END LOOP;
		UPDATE feed SET pruned_through = 0;
		ALTER SEQUENCE changes_revision_seq RESTART;
		ALTER SEQUENCE credit_ledger_id_seq RESTART;
	END
$$`

// open opens a store and closes it when the test ends.
func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: identity.NewSecret(url)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
