package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// SchemaStatus compares a database with the schema that this build needs.
type SchemaStatus struct {
	Current int64    // the database's version; 0: none, or no database yet
	Needed  int64    // the version this build needs
	Pending []string // the migrations to apply, in order
}

// Migrate brings the database at the path to the schema of this build and
// returns the migrations it applied, none where there was nothing to do. It
// creates a missing database with mode 0600, and a missing folder with 0700. It
// refuses a schema newer than it knows.
func Migrate(ctx context.Context, path string) ([]string, error) {
	applied, err := migrate(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("migrate %q: %w", path, err)
	}
	return applied, nil
}

func migrate(ctx context.Context, path string) ([]string, error) {
	db, err := connect(path, writer)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	if err := createFile(path); err != nil {
		return nil, err
	}

	provider, err := migrations(db)
	if err != nil {
		return nil, err
	}
	status, err := schemaStatus(ctx, db, provider)
	if err != nil {
		return nil, err
	}
	if status.Current > status.Needed {
		return nil, status.newer()
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, err
	}
	applied := make([]string, 0, len(results))
	for _, result := range results {
		applied = append(applied, sourceName(result.Source))
	}
	return applied, nil
}

// Status compares the database at the path with this build. It changes nothing
// and creates nothing.
func Status(ctx context.Context, path string) (SchemaStatus, error) {
	status, err := statusOf(ctx, path)
	if err != nil {
		return SchemaStatus{}, fmt.Errorf("schema status of %q: %w", path, err)
	}
	return status, nil
}

func statusOf(ctx context.Context, path string) (SchemaStatus, error) {
	db, err := connect(path, reader)
	if err != nil {
		return SchemaStatus{}, err
	}
	defer func() { _ = db.Close() }()

	provider, err := migrations(db)
	if err != nil {
		return SchemaStatus{}, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return compare(0, provider), nil
	}
	return schemaStatus(ctx, db, provider)
}

func (s SchemaStatus) newer() error {
	return fmt.Errorf("the schema is at version %d and this build knows %d: run a newer postern", s.Current, s.Needed)
}

// checkSchema lets only the exact schema of this build pass.
func checkSchema(ctx context.Context, path string) error {
	status, err := statusOf(ctx, path)
	switch {
	case err != nil:
		return err
	case status.Current > status.Needed:
		return status.newer()
	case status.Current < status.Needed:
		return fmt.Errorf("the schema is at version %d and this build needs %d: run `postern migrate up`", status.Current, status.Needed)
	}
	return nil
}

// migrations makes the runner of this build's migrations.
func migrations(db *sql.DB) (*goose.Provider, error) {
	folder, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, folder,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
}

// schemaStatus reads goose's table itself, because goose creates it on reading.
func schemaStatus(ctx context.Context, db *sql.DB, provider *goose.Provider) (SchemaStatus, error) {
	var migrated bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)`,
		goose.DefaultTablename).Scan(&migrated)
	if err != nil || !migrated {
		return compare(0, provider), err
	}
	var current int64
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+goose.DefaultTablename+` WHERE is_applied`).Scan(&current)
	return compare(current, provider), err
}

func compare(current int64, provider *goose.Provider) SchemaStatus {
	status := SchemaStatus{Current: current}
	for _, source := range provider.ListSources() {
		status.Needed = source.Version
		if source.Version > current {
			status.Pending = append(status.Pending, sourceName(source))
		}
	}
	return status
}

func sourceName(source *goose.Source) string { return path.Base(source.Path) }

// createFile makes sure that the database's file exists, before SQLite would
// create one that others may read.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}
