package postgres

import (
	"context"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

const signingKeyColumns = `id, profile, algorithm, private, created_at, retired_at`

func scanSigningKey(r row) (identity.SigningKey, error) {
	var k identity.SigningKey
	err := r.Scan(&k.ID, &k.Profile, &k.Algorithm, (*secret)(&k.Private), (*instant)(&k.CreatedAt), (*instant)(&k.RetiredAt))
	return k, err
}

// CreateSigningKey implements store.SigningKeys.
func (s *Store) CreateSigningKey(ctx context.Context, by store.Actor, key identity.SigningKey) (identity.SigningKey, error) {
	if err := valid.SigningKey(key); err != nil {
		return identity.SigningKey{}, failed(ctx, err, "create signing key")
	}
	created, err := mutate(ctx, s, by, func(tx *mutation) (identity.SigningKey, error) {
		revision, err := tx.record(ctx, event{
			action: store.ActionSigningKeyCreate, subject: key.ID,
			detail: detail{"algorithm": key.Algorithm, "profile": string(key.Profile)},
		}, feed.SigningKey())
		if err != nil {
			return identity.SigningKey{}, err
		}
		return scanSigningKey(tx.QueryRow(ctx, `INSERT INTO signing_keys (`+signingKeyColumns+`, revision)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING `+signingKeyColumns,
			key.ID, key.Profile, key.Algorithm, secret(key.Private), instant(s.orNow(key.CreatedAt)), instant(key.RetiredAt), revision))
	})
	return created, failed(ctx, err, "create signing key %q", key.ID)
}

// ListSigningKeys implements store.SigningKeys.
func (s *Store) ListSigningKeys(ctx context.Context) ([]identity.SigningKey, error) {
	keys, err := findAll(ctx, s, scanSigningKey, `SELECT `+signingKeyColumns+` FROM signing_keys ORDER BY created_at, id`)
	return keys, failed(ctx, err, "list signing keys")
}
