package sqlite_test

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"postern/store"
	"postern/store/sqlite"
)

func TestMigratingTwiceChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	for i, want := range []int{2, 0} {
		applied, err := sqlite.Migrate(t.Context(), path)
		if err != nil || len(applied) != want {
			t.Errorf("run %d applied %q, %v; want %d migrations", i+1, applied, err, want)
		}
	}
	open(t, sqlite.Options{Path: path})
}

func TestStatusTellsWhatIsPendingAndCreatesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "postern.db")
	status, err := sqlite.Status(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want := store.SchemaStatus{Needed: 2, Pending: []string{"00001_initial.sql", "00002_fleet.sql"}}
	if !reflect.DeepEqual(status, want) {
		t.Errorf("before: %+v, want %+v", status, want)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder exists after asking for the status: %v", err)
	}

	applied, err := sqlite.Migrate(t.Context(), path)
	if err != nil || !reflect.DeepEqual(applied, want.Pending) {
		t.Errorf("applied %q, %v; want %q", applied, err, want.Pending)
	}
	status, err = sqlite.Status(t.Context(), path)
	if err != nil || !reflect.DeepEqual(status, store.SchemaStatus{Current: 2, Needed: 2}) {
		t.Errorf("after: %+v, %v", status, err)
	}
}

func TestOpenRefusesAnOlderSchemaAndSaysWhatToRun(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "postern.db")
	empty := filepath.Join(t.TempDir(), "postern.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	older := migrated(t)
	alter(t, older, `DELETE FROM goose_db_version WHERE version_id = 2`)

	for name, path := range map[string]string{"no file": missing, "an empty file": empty, "version 1": older} {
		_, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err == nil || !strings.Contains(err.Error(), "run `postern migrate up`") {
			t.Errorf("%s: error is %v, want the command to run", name, err)
		}
	}
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening created a file: %v", err)
	}
}

func TestANewerSchemaIsLeftAlone(t *testing.T) {
	path := migrated(t)
	alter(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, 1)`)
	_, openErr := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	_, migrateErr := sqlite.Migrate(t.Context(), path)
	for _, err := range []error{openErr, migrateErr} {
		if err == nil || !strings.Contains(err.Error(), "run a newer postern") {
			t.Errorf("error is %v, want the remedy", err)
		}
	}
}

func TestANewDatabaseIsItsOwnersOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "lib", "postern.db")
	if _, err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s := open(t, sqlite.Options{Path: path})
	create(t, s, "org")
	for name, want := range map[string]fs.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
		filepath.Dir(path): 0o700 | fs.ModeDir, filepath.Dir(filepath.Dir(path)): 0o700 | fs.ModeDir,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestAPathIsTakenLiterally(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a b", "a?mode=ro", "a#b", "a%20b", "a&b=c", ":memory:", "file:x"} {
		path := filepath.Join(folder, name)
		if _, err := sqlite.Migrate(t.Context(), path); err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		create(t, open(t, sqlite.Options{Path: path}), "org")
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q holds nothing: %v", name, err)
		}
	}
}

func TestARelativePathIsOfTheWorkingFolder(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	for _, path := range []string{"postern.db", "./below/postern.db", ":memory:"} {
		if _, err := sqlite.Migrate(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		open(t, sqlite.Options{Path: path})
		if _, err := os.Stat(filepath.Join(folder, path)); err != nil {
			t.Error(err)
		}
	}
}

func TestAnEmptyPathIsRefused(t *testing.T) {
	_, openErr := sqlite.Open(t.Context(), sqlite.Options{})
	_, migrateErr := sqlite.Migrate(t.Context(), "")
	_, statusErr := sqlite.Status(t.Context(), "")
	for _, err := range []error{openErr, migrateErr, statusErr} {
		if err == nil || !strings.Contains(err.Error(), "path is empty") {
			t.Errorf("error is %v, want one that names the path", err)
		}
	}
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	const text = "these are not records, and should stay as they are"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Options{Path: path}); err == nil {
		t.Error("opened a text file")
	}
	if _, err := sqlite.Migrate(t.Context(), path); err == nil {
		t.Error("migrated a text file")
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != text {
		t.Errorf("the file is %q, %v", after, err)
	}
}

// alter changes a database behind the store's back.
func alter(t testing.TB, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
