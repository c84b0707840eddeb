package sqlite_test

import (
	"os"
	"path/filepath"
	"testing"

	"postern/store"
	"postern/store/sqlite"
	"postern/store/storetest"
)

func TestConformance(t *testing.T) {
	empty, err := os.ReadFile(migrated(t)) // migrating once for all keeps the suite quick
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t testing.TB) store.Store {
		path := filepath.Join(t.TempDir(), "postern.db")
		if err := os.WriteFile(path, empty, 0o600); err != nil {
			t.Fatal(err)
		}
		return open(t, sqlite.Options{Path: path})
	})
}

// migrated makes an empty database and returns its path.
func migrated(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.db")
	if _, err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens a store and closes it when the test ends.
func open(t testing.TB, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
