package postgres

import (
	"context"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/cursor"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

const (
	tokenColumns = `id, profile, kind, name, coalesce(org_id, ''), user_id, grants, issued_at, expires_at, revoked_at, revision`
	insertToken  = `INSERT INTO tokens (id, profile, kind, name, org_id, user_id, grants, issued_at, expires_at, revoked_at, revision)
		VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9, $10, $11) RETURNING ` + tokenColumns
	selectToken      = `SELECT ` + tokenColumns + ` FROM tokens WHERE id = $1`
	selectTokenState = `SELECT '', id, user_id, revoked_at, revision FROM tokens WHERE id = $1`
	selectRefusal    = `SELECT issuer, id, '', revoked_at, revision FROM refused_tokens WHERE issuer = $1 AND id = $2`
)

func scanToken(r row) (store.Token, error) {
	var t store.Token
	err := r.Scan(&t.ID, &t.Profile, &t.Kind, &t.Name, &t.Org, &t.User, &t.Grants,
		(*instant)(&t.IssuedAt), (*instant)(&t.ExpiresAt), (*instant)(&t.RevokedAt), &t.Revision)
	return t, err
}

// scanTokenState scans a refusal, or a minted token cut to the same columns.
func scanTokenState(r row) (identity.Token, error) {
	var t identity.Token
	err := r.Scan(&t.Ref.Issuer, &t.Ref.ID, &t.User, (*instant)(&t.RevokedAt), &t.Revision)
	return t, err
}

// CreateToken implements store.Tokens.
func (s *Store) CreateToken(ctx context.Context, by store.Actor, token store.Token) (store.Token, error) {
	if err := valid.Token(token); err != nil {
		return store.Token{}, failed(ctx, err, "create token")
	}
	created, err := mutate(ctx, s, by, func(tx *mutation) (store.Token, error) {
		revision, err := tx.record(ctx, event{
			action: store.ActionTokenCreate, subject: string(token.ID), org: token.Org,
			detail: detail{"profile": string(token.Profile), "user": string(token.User)},
		}, feed.Token(token))
		if err != nil {
			return store.Token{}, err
		}
		return scanToken(tx.QueryRow(ctx, insertToken, token.ID, token.Profile, token.Kind, token.Name,
			token.Org, token.User, token.Grants, instant(s.orNow(token.IssuedAt)),
			instant(token.ExpiresAt), instant(token.RevokedAt), revision))
	})
	return created, failed(ctx, err, "create token")
}

// Token implements store.Tokens.
func (s *Store) Token(ctx context.Context, id identity.TokenID) (store.Token, error) {
	token, err := find(ctx, s, scanToken, selectToken, id)
	return token, failed(ctx, err, "find token")
}

// TokenState implements store.Tokens.
func (s *Store) TokenState(ctx context.Context, ref identity.TokenRef) (identity.Token, error) {
	query, args := selectTokenState, []any{ref.ID}
	if ref.Issuer != "" {
		query, args = selectRefusal, []any{ref.Issuer, ref.ID}
	}
	state, err := find(ctx, s, scanTokenState, query, args...)
	return state, failed(ctx, err, "find the state of a token")
}

// ListTokens implements store.Tokens.
func (s *Store) ListTokens(ctx context.Context, filter store.TokenFilter, page store.Page) ([]store.Token, string, error) {
	l := listing{columns: tokenColumns, table: "tokens", byTime: true, order: []string{"issued_at", "id"}}
	l.equal("profile", string(filter.Profile))
	l.equal("org_id", string(filter.Org))
	l.equal("user_id", string(filter.User))
	l.equal("kind", string(filter.Kind))
	tokens, next, err := readPage(ctx, s, l, page, scanToken, func(t store.Token) cursor.Position {
		return cursor.Position{At: t.IssuedAt.UnixMicro(), ID: string(t.ID)}
	})
	return tokens, next, failed(ctx, err, "list tokens")
}

// RevokeToken implements store.Tokens.
func (s *Store) RevokeToken(ctx context.Context, by store.Actor, ref identity.TokenRef, at time.Time) (identity.Token, error) {
	if err := valid.TokenRef(ref); err != nil {
		return identity.Token{}, failed(ctx, err, "revoke token")
	}
	at = s.orNow(at)
	state, err := mutate(ctx, s, by, func(tx *mutation) (identity.Token, error) {
		if ref.Issuer != "" {
			return tx.refuseToken(ctx, ref, at)
		}
		token, err := scanToken(tx.QueryRow(ctx, selectToken, ref.ID))
		if err != nil {
			return identity.Token{}, err
		}
		if !token.RevokedAt.IsZero() {
			return identity.Token{Ref: ref, User: token.User, RevokedAt: token.RevokedAt, Revision: token.Revision}, nil
		}
		revision, err := tx.record(ctx, event{action: store.ActionTokenRevoke, subject: string(ref.ID), org: token.Org},
			feed.Token(token))
		if err != nil {
			return identity.Token{}, err
		}
		return tx.revokeToken(ctx, ref.ID, at, revision)
	})
	return state, failed(ctx, err, "revoke token")
}

// revokeToken marks a minted token that is known not to be revoked.
func (tx *mutation) revokeToken(ctx context.Context, id identity.TokenID, at time.Time, revision identity.Revision) (identity.Token, error) {
	return scanTokenState(tx.QueryRow(ctx, `UPDATE tokens SET revoked_at = $1, revision = $2
		WHERE id = $3 RETURNING '', id, user_id, revoked_at, revision`, instant(at), revision, id))
}

// refuseToken writes down that a foreign token is refused from now on.
func (tx *mutation) refuseToken(ctx context.Context, ref identity.TokenRef, at time.Time) (identity.Token, error) {
	refused, err := readAll(ctx, tx, scanTokenState, selectRefusal, ref.Issuer, ref.ID)
	if err != nil {
		return identity.Token{}, err
	}
	if len(refused) > 0 {
		return refused[0], nil
	}
	revision, err := tx.record(ctx, event{
		action: store.ActionTokenRevoke, subject: string(ref.ID), detail: detail{"issuer": string(ref.Issuer)},
	}, feed.Refusal(ref))
	if err != nil {
		return identity.Token{}, err
	}
	return scanTokenState(tx.QueryRow(ctx, `INSERT INTO refused_tokens (issuer, id, revoked_at, revision)
		VALUES ($1, $2, $3, $4) RETURNING issuer, id, '', revoked_at, revision`, ref.Issuer, ref.ID, instant(at), revision))
}
