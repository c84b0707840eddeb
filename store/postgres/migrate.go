package postgres

import (
	"context"
	"database/sql"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/schema"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is held while migrating, apart from the mutations' lock.
const migrationLock = 5787222183502198

// Migrate brings the database at the URL to the schema of this build and returns
// the migrations it applied, none where there was nothing to do. Where several
// migrate at once, one does and the others wait. It refuses a schema newer than
// it knows.
func Migrate(ctx context.Context, url identity.Secret) ([]string, error) {
	var applied []string
	err := withMigrations(url, func(m *schema.Migrations) (err error) {
		applied, err = m.Up(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("migrate: %w", discreet(err))
	}
	return applied, nil
}

// Status compares the database at the URL with this build, and changes nothing.
func Status(ctx context.Context, url identity.Secret) (store.SchemaStatus, error) {
	var status store.SchemaStatus
	err := withMigrations(url, func(m *schema.Migrations) (err error) {
		status, err = m.Status(ctx)
		return err
	})
	if err != nil {
		return store.SchemaStatus{}, fmt.Errorf("schema status: %w", discreet(err))
	}
	return status, nil
}

func withMigrations(url identity.Secret, run func(*schema.Migrations) error) error {
	config, err := configure(url, 1)
	if err != nil {
		return err
	}
	// Building an index of a large table takes its time.
	for _, bound := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		config.ConnConfig.RuntimeParams[bound] = "0"
	}
	config.ConnConfig.RuntimeParams["lock_timeout"] = "10s"
	db := stdlib.OpenDB(*config.ConnConfig)
	defer func() { _ = db.Close() }()
	migrations, err := migrationsOf(db)
	if err != nil {
		return err
	}
	return run(migrations)
}

func migrationsOf(db *sql.DB) (*schema.Migrations, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return schema.New(goose.DialectPostgres, db, migrationFiles,
		`SELECT to_regclass($1) IS NOT NULL`, goose.WithSessionLocker(locker))
}

// checkSchema lets only the exact schema of this build pass.
func (s *Store) checkSchema(ctx context.Context) error {
	db := stdlib.OpenDBFromPool(s.requests)
	defer func() { _ = db.Close() }()
	migrations, err := migrationsOf(db)
	if err != nil {
		return err
	}
	status, err := migrations.Status(ctx)
	if err != nil {
		return err
	}
	return status.Refuse()
}
