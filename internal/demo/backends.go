package demo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"postern/internal/testenv"
)

// backends starts what the servers keep their records in. The data of PostgreSQL
// stay in the state folder; the shared cache begins empty.
func (d *Demo) backends(ctx context.Context) error {
	switch d.store {
	case "", "sqlite":
		d.storeURL = "sqlite://" + d.path("postern.db")
	case "postgres":
		if err := d.startPostgres(ctx); err != nil {
			return err
		}
	default:
		return fmt.Errorf("STORE is %q; use sqlite or postgres", d.store)
	}
	switch d.cache {
	case "":
	case "redis":
		redis, err := testenv.StartRedis(ctx, d.path("redis"))
		if err != nil {
			return err
		}
		d.stops = append(d.stops, redis.Stop)
		d.cacheURL = redis.URL()
	default:
		return fmt.Errorf("CACHE is %q; use redis, or leave it out", d.cache)
	}
	return nil
}

// postgresFolder is the folder itself where everybody may pass through its parents.
// PostgreSQL does not run as root, and could not reach it otherwise: then it is one
// in the system's temporary folder, the same at each run.
func postgresFolder(folder string) string {
	for parent := filepath.Dir(folder); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return filepath.Join(os.TempDir(), fmt.Sprintf("postern-postgres-%x", sha256.Sum256([]byte(folder)))[:33])
		}
		if parent == filepath.Dir(parent) {
			return folder
		}
	}
}

// database is the demo's.
const database = "postern"

func (d *Demo) startPostgres(ctx context.Context) error {
	server, err := testenv.StartPostgres(ctx, postgresFolder(d.path("postgres")))
	if err != nil {
		return err
	}
	d.stops = append(d.stops, func() { _ = server.Stop() })
	if err := server.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	d.storeURL = server.URL(database)
	return nil
}
