package postgres

import (
	"context"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

// rotated is what a rotation leaves behind.
type rotated struct{ original, successor store.Key }

// RotateKey implements store.Keys.
func (s *Store) RotateKey(ctx context.Context, by store.Actor, id identity.KeyID, successor store.Key, until time.Time) (store.Key, store.Key, error) {
	if err := valid.Key(successor); err != nil {
		return store.Key{}, store.Key{}, failed(ctx, err, "rotate key")
	}
	successor.CreatedAt = s.orNow(successor.CreatedAt)
	until = s.orNow(until)
	done, err := mutate(ctx, s, by, func(tx *mutation) (rotated, error) {
		original, err := scanKey(tx.QueryRow(ctx, selectKey, id))
		if err != nil {
			return rotated{}, err
		}
		if err := valid.Rotation(original); err != nil {
			return rotated{}, err
		}
		revision, err := tx.record(ctx, event{
			action: store.ActionKeyRotate, subject: string(id), org: original.Org,
			detail: detail{"successor": string(successor.ID)},
		}, feed.Key(original))
		if err != nil {
			return rotated{}, err
		}
		successorRevision, err := tx.change(ctx, feed.Key(successor))
		if err != nil {
			return rotated{}, err
		}
		// The successor comes first: the original refers to it.
		added, err := tx.insertKey(ctx, successor, successorRevision)
		if err != nil {
			return rotated{}, err
		}
		if !original.ExpiresAt.IsZero() && original.ExpiresAt.Before(until) {
			until = original.ExpiresAt
		}
		original, err = scanKey(tx.QueryRow(ctx, `UPDATE api_keys SET expires_at = $1, successor_id = $2, revision = $3
			WHERE id = $4 RETURNING `+keyColumns, instant(until), successor.ID, revision, id))
		return rotated{original: original, successor: added}, err
	})
	return done.original, done.successor, failed(ctx, err, "rotate key")
}
