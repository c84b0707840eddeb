package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store/internal/valid"
)

// SharedSecret implements store.Secrets.
func (s *Store) SharedSecret(ctx context.Context, name string, proposed identity.Secret) (identity.Secret, error) {
	if err := valid.SharedSecret(name, proposed); err != nil {
		return identity.Secret{}, failed(ctx, err, "share secret")
	}
	kept, err := transact(ctx, s, s.requests, beginTransaction, func(tx pgx.Tx) (identity.Secret, error) {
		_, err := tx.Exec(ctx, `INSERT INTO shared_secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, secret(proposed))
		if err != nil {
			return identity.Secret{}, err
		}
		// A statement of its own sees what another one has committed meanwhile.
		var kept identity.Secret
		err = tx.QueryRow(ctx, `SELECT value FROM shared_secrets WHERE name = $1`, name).Scan((*secret)(&kept))
		return kept, err
	})
	return kept, failed(ctx, err, "share secret %q", name)
}
