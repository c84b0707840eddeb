package sqlite

import (
	"context"

	"postern/authz/identity"
	"postern/store/internal/valid"
)

// SharedSecret implements store.Secrets.
func (s *Store) SharedSecret(ctx context.Context, name string, proposed identity.Secret) (identity.Secret, error) {
	if err := valid.SharedSecret(name, proposed); err != nil {
		return identity.Secret{}, failed(ctx, err, "share secret")
	}
	var kept identity.Secret
	// The update changes nothing: it lets the row be returned.
	err := s.writes.QueryRowContext(ctx, `INSERT INTO shared_secrets (name, value) VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET value = value RETURNING value`, name, secret(proposed)).Scan((*secret)(&kept))
	return kept, failed(ctx, err, "share secret %q", name)
}
