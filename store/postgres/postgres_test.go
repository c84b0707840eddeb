package postgres_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

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
	// What is promised here holds without a bound in time: a machine with much else
	// to do must not look like a broken promise.
	const patient = "&statement_timeout=20s&lock_timeout=20s"
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, server.URL(migrated(t))+patient) })
}

// database is an empty one, and a connection that empties it again.
type database struct {
	name string
	conn *pgx.Conn
}

// databases are those that no test uses at the moment.
var databases struct {
	sync.Mutex
	made int
	free []database
}

// migrated returns the name of an empty database that is the test's own. One that
// an earlier test has left is emptied: that is quicker than to make another.
func migrated(t testing.TB) string {
	t.Helper()
	d := takeDatabase(t)
	t.Cleanup(func() {
		databases.Lock()
		defer databases.Unlock()
		databases.free = append(databases.free, d)
	})
	return d.name
}

func takeDatabase(t testing.TB) database {
	t.Helper()
	databases.Lock()
	defer databases.Unlock()
	ctx := context.WithoutCancel(t.Context())
	if last := len(databases.free) - 1; last >= 0 {
		d := databases.free[last]
		databases.free = databases.free[:last]
		if _, err := d.conn.Exec(ctx, empty); err == nil {
			return d
		}
		_ = d.conn.Close(ctx) // some tests restart the server
	}
	databases.made++
	d := database{name: fmt.Sprintf("test_%d", databases.made)}
	err := server.CreateDatabase(ctx, d.name, template)
	if err == nil {
		d.conn, err = pgx.Connect(ctx, server.URL(d.name))
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
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
