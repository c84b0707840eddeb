package sqlite

import (
	"context"
	"fmt"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/cursor"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

// A key's optional user and successor are NULL in the file, so that a foreign
// key can hold them.
const (
	keyColumns = `id, org_id, coalesce(user_id, ''), profile, environment, name, description, hint, hash, digest,
		grants, expires_at, revoked_at, disabled, coalesce(successor_id, ''), created_at, revision`
	insertKey = `INSERT INTO api_keys (id, org_id, user_id, profile, environment, name, description, hint, hash, digest,
		grants, expires_at, revoked_at, disabled, created_at, revision)
		VALUES (?, ?, nullif(?, ''), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING ` + keyColumns
	selectKey = `SELECT ` + keyColumns + ` FROM api_keys WHERE id = ?`
	activeKey = `revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)`
)

func scanKey(r row) (store.Key, error) {
	var k store.Key
	err := r.Scan(&k.ID, &k.Org, &k.User, &k.Profile, &k.Environment, &k.Name, &k.Description, &k.Hint,
		(*secret)(&k.Hash), (*digest)(&k.Digest), (*grants)(&k.Grants), (*instant)(&k.ExpiresAt),
		(*instant)(&k.RevokedAt), &k.Disabled, &k.Successor, (*instant)(&k.CreatedAt), &k.Revision)
	return k, err
}

func (tx *mutation) insertKey(ctx context.Context, k store.Key, revision identity.Revision) (store.Key, error) {
	return scanKey(tx.QueryRowContext(ctx, insertKey, k.ID, k.Org, k.User, k.Profile, k.Environment, k.Name,
		k.Description, k.Hint, secret(k.Hash), digest(k.Digest), grants(k.Grants), instant(k.ExpiresAt),
		instant(k.RevokedAt), k.Disabled, instant(k.CreatedAt), revision))
}

// CreateKey implements store.Keys.
func (s *Store) CreateKey(ctx context.Context, by store.Actor, key store.Key, limit store.KeyLimit) (store.Key, error) {
	if err := valid.Key(key); err != nil {
		return store.Key{}, failed(ctx, err, "create key")
	}
	key.CreatedAt = s.orNow(key.CreatedAt)
	created, err := mutate(ctx, s, by, func(tx *mutation) (store.Key, error) {
		if err := s.checkLimit(ctx, tx, key.Profile, limit); err != nil {
			return store.Key{}, err
		}
		revision, err := tx.record(ctx, event{
			action: store.ActionKeyCreate, subject: string(key.ID), org: key.Org,
			detail: detail{"profile": string(key.Profile), "name": key.Name},
		}, feed.Key(key))
		if err != nil {
			return store.Key{}, err
		}
		return tx.insertKey(ctx, key, revision)
	})
	return created, failed(ctx, err, "create key")
}

// checkLimit counts under the write lock, so that nobody adds a key meanwhile.
func (s *Store) checkLimit(ctx context.Context, tx *mutation, profile identity.ProfileName, limit store.KeyLimit) error {
	if limit.Max == 0 {
		return nil
	}
	var active int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM api_keys WHERE profile = ? AND `+activeKey,
		profile, instant(s.orNow(limit.Now))).Scan(&active)
	if err != nil {
		return err
	}
	if active >= limit.Max {
		return fmt.Errorf("%w: profile %q has %d active keys of %d: revoke one first", store.ErrLimit, profile, active, limit.Max)
	}
	return nil
}

// Key implements store.Keys.
func (s *Store) Key(ctx context.Context, id identity.KeyID) (store.Key, error) {
	key, err := scanKey(s.reads.QueryRowContext(ctx, selectKey, id))
	return key, failed(ctx, err, "find key")
}

// KeyByDigest implements store.Keys. A flood asks it most, so what has begun is not
// broken off: to watch for the end of a context costs as much as half the look-up, which
// takes microseconds. Its callers do not wait for it longer than they may.
func (s *Store) KeyByDigest(ctx context.Context, d identity.Digest) (store.Key, error) {
	if err := ctx.Err(); err != nil {
		return store.Key{}, failed(ctx, err, "find key by digest")
	}
	key, err := scanKey(s.reads.QueryRowContext(context.WithoutCancel(ctx), `SELECT `+keyColumns+` FROM api_keys WHERE digest = ?`, digest(d)))
	return key, failed(ctx, err, "find key by digest")
}

// ListKeys implements store.Keys.
func (s *Store) ListKeys(ctx context.Context, filter store.KeyFilter, page store.Page) ([]store.Key, string, error) {
	l := listing{columns: keyColumns, table: "api_keys", order: []string{"created_at", "id"}}
	l.equal("profile", string(filter.Profile))
	l.equal("org_id", string(filter.Org))
	if filter.ActiveOnly {
		l.where(activeKey, instant(s.orNow(filter.Now)))
	}
	keys, next, err := readPage(ctx, s.reads, l, page, scanKey, func(k store.Key) cursor.Position {
		return cursor.Position{At: k.CreatedAt.UnixMicro(), ID: string(k.ID)}
	})
	return keys, next, failed(ctx, err, "list keys")
}

// RevokeKey implements store.Keys.
func (s *Store) RevokeKey(ctx context.Context, by store.Actor, id identity.KeyID, at time.Time) (store.Key, error) {
	key, err := mutate(ctx, s, by, func(tx *mutation) (store.Key, error) {
		key, err := scanKey(tx.QueryRowContext(ctx, selectKey, id))
		if err != nil || !key.RevokedAt.IsZero() {
			return key, err
		}
		revision, err := tx.record(ctx, event{action: store.ActionKeyRevoke, subject: string(id), org: key.Org}, feed.Key(key))
		if err != nil {
			return store.Key{}, err
		}
		return scanKey(tx.QueryRowContext(ctx, `UPDATE api_keys SET revoked_at = ?, revision = ?
			WHERE id = ? RETURNING `+keyColumns, instant(s.orNow(at)), revision, id))
	})
	return key, failed(ctx, err, "revoke key")
}

// SetKeyDisabled implements store.Keys.
func (s *Store) SetKeyDisabled(ctx context.Context, by store.Actor, id identity.KeyID, disabled bool) (store.Key, error) {
	key, err := mutate(ctx, s, by, func(tx *mutation) (store.Key, error) {
		key, err := scanKey(tx.QueryRowContext(ctx, selectKey, id))
		if err != nil || key.Disabled == disabled {
			return key, err
		}
		action := store.ActionKeyEnable
		if disabled {
			action = store.ActionKeyDisable
		}
		revision, err := tx.record(ctx, event{action: action, subject: string(id), org: key.Org}, feed.Key(key))
		if err != nil {
			return store.Key{}, err
		}
		return scanKey(tx.QueryRowContext(ctx, `UPDATE api_keys SET disabled = ?, revision = ?
			WHERE id = ? RETURNING `+keyColumns, disabled, revision, id))
	})
	return key, failed(ctx, err, "switch key")
}
