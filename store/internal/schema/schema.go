// Package schema brings an engine's database to the schema of this build. It
// knows goose, and no engine.
package schema

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"path"

	"github.com/pressly/goose/v3"

	"postern/store"
)

// Migrations are those of one engine, for one database.
type Migrations struct {
	db       *sql.DB
	provider *goose.Provider
	exists   string
}

// New makes them of the files in folder migrations. exists asks whether the
// table that $1 names is there: asking goose would create it.
func New(dialect goose.Dialect, db *sql.DB, files embed.FS, exists string, options ...goose.ProviderOption) (*Migrations, error) {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return nil, err
	}
	options = append(options, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	provider, err := goose.NewProvider(dialect, db, folder, options...)
	if err != nil {
		return nil, err
	}
	return &Migrations{db: db, provider: provider, exists: exists}, nil
}

// Up applies what is pending and returns its names. It refuses a schema newer
// than this build's.
func (m *Migrations) Up(ctx context.Context) ([]string, error) {
	status, err := m.Status(ctx)
	if err != nil {
		return nil, err
	}
	if err := status.RefuseNewer(); err != nil {
		return nil, err
	}
	results, err := m.provider.Up(ctx)
	if err != nil {
		return nil, err
	}
	applied := make([]string, 0, len(results))
	for _, result := range results {
		applied = append(applied, name(result.Source))
	}
	return applied, nil
}

// Status compares the database with this build, and changes nothing.
func (m *Migrations) Status(ctx context.Context) (store.SchemaStatus, error) {
	var migrated bool
	err := m.db.QueryRowContext(ctx, m.exists, goose.DefaultTablename).Scan(&migrated)
	if err != nil || !migrated {
		return m.Missing(), err
	}
	var current int64
	err = m.db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+goose.DefaultTablename+` WHERE is_applied`).Scan(&current)
	return m.compare(current), err
}

// Missing is the status of a database that is not there.
func (m *Migrations) Missing() store.SchemaStatus { return m.compare(0) }

func (m *Migrations) compare(current int64) store.SchemaStatus {
	status := store.SchemaStatus{Current: current}
	for _, source := range m.provider.ListSources() {
		status.Needed = source.Version
		if source.Version > current {
			status.Pending = append(status.Pending, name(source))
		}
	}
	return status
}

func name(source *goose.Source) string { return path.Base(source.Path) }
