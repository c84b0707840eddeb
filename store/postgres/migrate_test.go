package postgres_test

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"postern/authz/identity"
	"postern/store"
	"postern/store/postgres"
)

// unmigrated makes a database without a schema and returns its URL.
func unmigrated(t *testing.T) identity.Secret {
	t.Helper()
	name := "unmigrated_" + strings.ToLower(t.Name())
	if err := server.CreateDatabase(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	return identity.NewSecret(server.URL(name))
}

func all() []string { return []string{"00001_initial.sql", "00002_fleet.sql"} }

func TestStatusTellsWhatIsPendingAndCreatesNothing(t *testing.T) {
	url := unmigrated(t)
	want := store.SchemaStatus{Needed: 2, Pending: all()}
	for range 2 {
		status, err := postgres.Status(t.Context(), url)
		if err != nil || !reflect.DeepEqual(status, want) {
			t.Fatalf("before: %+v, %v; want %+v", status, err, want)
		}
	}
	for i, want := range [][]string{all(), {}} {
		applied, err := postgres.Migrate(t.Context(), url)
		if err != nil || !reflect.DeepEqual(applied, want) {
			t.Errorf("run %d applied %q, %v; want %q", i+1, applied, err, want)
		}
	}
	status, err := postgres.Status(t.Context(), url)
	if err != nil || !reflect.DeepEqual(status, store.SchemaStatus{Current: 2, Needed: 2}) {
		t.Errorf("after: %+v, %v", status, err)
	}
}

func TestServersThatMigrateAtOnceApplyEachMigrationOnce(t *testing.T) {
	url := unmigrated(t)
	applied := make([][]string, 3)
	var group sync.WaitGroup
	for i := range applied {
		group.Go(func() {
			var err error
			if applied[i], err = postgres.Migrate(t.Context(), url); err != nil {
				t.Error(err)
				return
			}
			open(t, url.Reveal())
		})
	}
	group.Wait()
	total := 0
	for _, names := range applied {
		total += len(names)
	}
	if total != len(all()) {
		t.Errorf("applied %q, want each of %q once", applied, all())
	}
}

func TestOpenRefusesAnotherSchemaAndSaysWhatToRun(t *testing.T) {
	empty := unmigrated(t)
	older, newer := migratedFor(t, "older", `DELETE FROM goose_db_version WHERE version_id = 2`),
		migratedFor(t, "newer", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, true)`)
	for url, want := range map[identity.Secret]string{
		empty: "schema is at version 0 and this build needs 2: run `postern migrate up`",
		older: "schema is at version 1 and this build needs 2: run `postern migrate up`",
		newer: "schema is at version 3 and this build knows 2: run a newer postern",
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	if _, err := postgres.Migrate(t.Context(), newer); err == nil || !strings.Contains(err.Error(), "run a newer postern") {
		t.Errorf("migrating a newer schema: %v", err)
	}
}

// migratedFor makes a migrated database that the statements then alter.
func migratedFor(t *testing.T, name string, statements ...string) identity.Secret {
	t.Helper()
	name = fmt.Sprintf("%s_%s", name, strings.ToLower(t.Name()))
	if err := server.CreateDatabase(t.Context(), name, template); err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), name, statements...); err != nil {
		t.Fatal(err)
	}
	return identity.NewSecret(server.URL(name))
}

func TestADatabaseThatLosesCommitsIsRefused(t *testing.T) {
	url := migratedFor(t, "lossy")
	if err := server.Exec(t.Context(), "postgres", `ALTER DATABASE "lossy_`+strings.ToLower(t.Name())+`" SET synchronous_commit = off`); err != nil {
		t.Fatal(err)
	}
	_, err := postgres.Open(t.Context(), postgres.Options{URL: url})
	if err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("error is %v, want it refused", err)
	}
}
