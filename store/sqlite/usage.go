package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"postern/authz/identity"
	"postern/store"
)

// addUsage finds no row to insert where there is no such key. The count stops at
// the largest integer.
const addUsage = `INSERT INTO key_usage (key_id, count, last_at) SELECT id, ?2, ?3 FROM api_keys WHERE id = ?1
	ON CONFLICT (key_id) DO UPDATE SET
		count = count + min(excluded.count, 9223372036854775807 - count),
		last_at = max(coalesce(last_at, excluded.last_at), coalesce(excluded.last_at, last_at))`

// AddUsage implements store.Usages.
func (s *Store) AddUsage(ctx context.Context, usages []identity.Usage) error {
	_, err := transact(ctx, s.writes, func(tx *transaction) (struct{}, error) {
		for _, u := range usages {
			_, err := tx.ExecContext(ctx, addUsage, u.Key, min(u.Count, math.MaxInt64), instant(u.LastAt))
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return failed(ctx, err, "count the use of keys")
}

// Usage implements store.Usages.
func (s *Store) Usage(ctx context.Context, id identity.KeyID) (store.KeyUsage, error) {
	var u store.KeyUsage
	err := s.reads.QueryRowContext(ctx, `SELECT count, last_at FROM key_usage WHERE key_id = ?`, id).
		Scan(&u.Count, (*instant)(&u.LastAt))
	if errors.Is(err, sql.ErrNoRows) {
		return store.KeyUsage{}, ctx.Err()
	}
	return u, failed(ctx, err, "find the use of a key")
}
