package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"postern/store"
	"postern/store/internal/schema"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

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
	migrations, err := migrationsOf(db)
	if err != nil {
		return nil, err
	}
	return migrations.Up(ctx)
}

// Status compares the database at the path with this build. It changes nothing
// and creates nothing.
func Status(ctx context.Context, path string) (store.SchemaStatus, error) {
	status, err := statusOf(ctx, path)
	if err != nil {
		return store.SchemaStatus{}, fmt.Errorf("schema status of %q: %w", path, err)
	}
	return status, nil
}

func statusOf(ctx context.Context, path string) (store.SchemaStatus, error) {
	db, err := connect(path, reader)
	if err != nil {
		return store.SchemaStatus{}, err
	}
	defer func() { _ = db.Close() }()
	migrations, err := migrationsOf(db)
	if err != nil {
		return store.SchemaStatus{}, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return migrations.Missing(), nil
	}
	return migrations.Status(ctx)
}

func migrationsOf(db *sql.DB) (*schema.Migrations, error) {
	return schema.New(goose.DialectSQLite3, db, migrationFiles,
		`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = $1)`)
}

// checkSchema lets only the exact schema of this build pass.
func checkSchema(ctx context.Context, path string) error {
	status, err := statusOf(ctx, path)
	if err != nil {
		return err
	}
	return status.Refuse()
}

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
