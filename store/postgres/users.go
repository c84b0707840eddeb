package postgres

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

const (
	userColumns         = `id, issuer, subject, email, name, disabled, tokens_not_before, created_at, revision`
	selectUser          = `SELECT ` + userColumns + ` FROM users WHERE id = $1`
	selectUserBySubject = `SELECT ` + userColumns + ` FROM users WHERE issuer = $1 AND subject = $2`

	// withdrawTokens writes the changes and marks the tokens, however many they are.
	withdrawTokens = `WITH change AS (
			INSERT INTO changes (kind, org_id, user_id, key_id, token_issuer, token_id, resource_id, at)
			SELECT 'token', coalesce(org_id, ''), user_id, '', '', id, '', $2 FROM tokens
			WHERE user_id = $1 AND revoked_at IS NULL ORDER BY issued_at, id
			RETURNING revision, token_id
		) UPDATE tokens SET revoked_at = $3, revision = change.revision FROM change WHERE id = token_id`
)

func scanUser(r row) (store.User, error) {
	var u store.User
	err := r.Scan(&u.ID, &u.Issuer, &u.Subject, &u.Email, &u.Name, &u.Disabled,
		(*instant)(&u.TokensNotBefore), (*instant)(&u.CreatedAt), &u.Revision)
	return u, err
}

// CreateUser implements store.Users.
func (s *Store) CreateUser(ctx context.Context, by store.Actor, user store.User) (store.User, error) {
	if user.Issuer == "" && user.Subject == "" {
		user.Subject = string(user.ID)
	}
	if err := valid.User(user); err != nil {
		return store.User{}, failed(ctx, err, "create user %q", user.ID)
	}
	created, err := mutate(ctx, s, by, func(tx *mutation) (store.User, error) {
		revision, err := tx.record(ctx, event{
			action: store.ActionUserCreate, subject: string(user.ID), detail: detail{"issuer": string(user.Issuer)},
		}, feed.User(user.ID))
		if err != nil {
			return store.User{}, err
		}
		return scanUser(tx.QueryRow(ctx, `INSERT INTO users (`+userColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING `+userColumns,
			user.ID, user.Issuer, user.Subject, user.Email, user.Name, user.Disabled,
			instant(user.TokensNotBefore), instant(s.orNow(user.CreatedAt)), revision))
	})
	return created, failed(ctx, err, "create user %q", user.ID)
}

// User implements store.Users.
func (s *Store) User(ctx context.Context, id identity.UserID) (store.User, error) {
	user, err := find(ctx, s, scanUser, selectUser, id)
	return user, failed(ctx, err, "find user %q", id)
}

// UserBySubject implements store.Users.
func (s *Store) UserBySubject(ctx context.Context, ref identity.SubjectRef) (store.User, error) {
	user, err := find(ctx, s, scanUser, selectUserBySubject, ref.Issuer, ref.Subject)
	return user, failed(ctx, err, "find user by subject %q", ref.Subject)
}

// ListUsers implements store.Users.
func (s *Store) ListUsers(ctx context.Context, org identity.OrgID, page store.Page) ([]store.User, string, error) {
	l := listing{columns: userColumns, table: "users", byTime: true, order: []string{"created_at", "id"}}
	if org != "" {
		l.where("id IN (SELECT user_id FROM memberships WHERE org_id = ?)", org)
	}
	users, next, err := readPage(ctx, s, l, page, scanUser, func(u store.User) cursor.Position {
		return cursor.Position{At: u.CreatedAt.UnixMicro(), ID: string(u.ID)}
	})
	return users, next, failed(ctx, err, "list users")
}

// SetUserDisabled implements store.Users.
func (s *Store) SetUserDisabled(ctx context.Context, by store.Actor, id identity.UserID, disabled bool) (store.User, error) {
	user, err := mutate(ctx, s, by, func(tx *mutation) (store.User, error) {
		user, err := tx.user(ctx, id)
		if err != nil || user.Disabled == disabled {
			return user, err
		}
		action := store.ActionUserEnable
		if disabled {
			action = store.ActionUserDisable
		}
		revision, err := tx.record(ctx, event{action: action, subject: string(id)}, feed.User(id))
		if err != nil {
			return store.User{}, err
		}
		return scanUser(tx.QueryRow(ctx, `UPDATE users SET disabled = $1, revision = $2
			WHERE id = $3 RETURNING `+userColumns, disabled, revision, id))
	})
	return user, failed(ctx, err, "switch user %q", id)
}

func (tx *mutation) user(ctx context.Context, id identity.UserID) (store.User, error) {
	return scanUser(tx.QueryRow(ctx, selectUser, id))
}

// RevokeUserTokens implements store.Tokens.
func (s *Store) RevokeUserTokens(ctx context.Context, by store.Actor, id identity.UserID, at time.Time) (store.User, int, error) {
	at = s.orNow(at)
	withdrawn := 0
	user, err := mutate(ctx, s, by, func(tx *mutation) (store.User, error) {
		user, err := tx.user(ctx, id)
		if err != nil {
			return store.User{}, err
		}
		var active int
		err = tx.QueryRow(ctx, `SELECT count(*) FROM tokens WHERE user_id = $1 AND revoked_at IS NULL`, id).Scan(&active)
		if err != nil || (active == 0 && !at.After(user.TokensNotBefore)) {
			return user, err
		}
		revision, err := tx.record(ctx, event{
			action: store.ActionUserRevokeTokens, subject: string(id), detail: detail{"tokens": fmt.Sprint(active)},
		}, feed.User(id))
		if err != nil {
			return store.User{}, err
		}
		if _, err := tx.Exec(ctx, withdrawTokens, id, tx.at, at); err != nil {
			return store.User{}, err
		}
		withdrawn = active
		if at.After(user.TokensNotBefore) {
			user.TokensNotBefore = at
		}
		return scanUser(tx.QueryRow(ctx, `UPDATE users SET tokens_not_before = $1, revision = $2
			WHERE id = $3 RETURNING `+userColumns, instant(user.TokensNotBefore), revision, id))
	})
	if err != nil {
		return store.User{}, 0, failed(ctx, err, "revoke the tokens of user %q", id)
	}
	return user, withdrawn, nil
}
