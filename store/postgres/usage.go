package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
)

// addUsage adds a whole report. The order of the keys is the same in every
// report, so that two of them do not wait for each other in a circle. A count
// stops at the largest integer.
const addUsage = `INSERT INTO key_usage (key_id, count, last_at)
	SELECT id, least(sum(used.count), 9223372036854775807)::bigint, max(used.at)
	FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS used (key, count, at) JOIN api_keys ON id = used.key
	GROUP BY id ORDER BY id
	ON CONFLICT (key_id) DO UPDATE SET
		count = least(key_usage.count::numeric + excluded.count, 9223372036854775807)::bigint,
		last_at = greatest(key_usage.last_at, excluded.last_at)`

// AddUsage implements store.Usages.
func (s *Store) AddUsage(ctx context.Context, usages []identity.Usage) error {
	var keys []identity.KeyID
	var counts []int64
	var times []*time.Time
	for _, u := range usages {
		if !valid.IsText(string(u.Key)) {
			continue
		}
		keys, counts = append(keys, u.Key), append(counts, int64(min(u.Count, math.MaxInt64)))
		if u.LastAt.IsZero() {
			times = append(times, nil)
		} else {
			times = append(times, &u.LastAt)
		}
	}
	if len(keys) == 0 {
		return failed(ctx, ctx.Err(), "count the use of keys")
	}
	_, err := transact(ctx, s, s.requests, beginUnflushed, func(tx pgx.Tx) (struct{}, error) {
		_, err := tx.Exec(ctx, addUsage, keys, counts, times)
		return struct{}{}, err
	})
	return failed(ctx, err, "count the use of keys")
}

// Usage implements store.Usages.
func (s *Store) Usage(ctx context.Context, id identity.KeyID) (store.KeyUsage, error) {
	u, err := find(ctx, s, scanUsage, `SELECT count, last_at FROM key_usage WHERE key_id = $1`, id)
	err = failed(ctx, err, "find the use of a key")
	if errors.Is(err, store.ErrNotFound) {
		return store.KeyUsage{}, nil
	}
	return u, err
}

func scanUsage(r row) (store.KeyUsage, error) {
	var u store.KeyUsage
	err := r.Scan(&u.Count, (*instant)(&u.LastAt))
	return u, err
}
