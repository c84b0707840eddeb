package wire

import (
	"context"
	"fmt"

	"postern/internal/config"
	"postern/store"
	"postern/store/postgres"
	"postern/store/sqlite"
)

// openStore opens the engine that the address names. A store that did not open is
// nil, and not a store that holds nothing.
func openStore(ctx context.Context, url string) (store.Store, error) {
	at, err := config.ParseStoreURL(url)
	if err != nil {
		return nil, fmt.Errorf("store.url: %w", err)
	}
	if at.Engine == config.Postgres {
		opened, err := postgres.Open(ctx, postgres.Options{URL: at.URL})
		if err != nil {
			return nil, err
		}
		return opened, nil
	}
	opened, err := sqlite.Open(ctx, sqlite.Options{Path: at.Path})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// Migrate brings the store at the address to the schema of this build and returns
// the migrations it applied.
func Migrate(ctx context.Context, url string) ([]string, error) {
	at, err := config.ParseStoreURL(url)
	if err != nil {
		return nil, fmt.Errorf("store.url: %w", err)
	}
	if at.Engine == config.Postgres {
		return postgres.Migrate(ctx, at.URL)
	}
	return sqlite.Migrate(ctx, at.Path)
}

// SchemaStatus compares the store at the address with what this build needs.
func SchemaStatus(ctx context.Context, url string) (store.SchemaStatus, error) {
	at, err := config.ParseStoreURL(url)
	if err != nil {
		return store.SchemaStatus{}, fmt.Errorf("store.url: %w", err)
	}
	if at.Engine == config.Postgres {
		return postgres.Status(ctx, at.URL)
	}
	return sqlite.Status(ctx, at.Path)
}
