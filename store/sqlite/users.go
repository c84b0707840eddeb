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

const userColumns = `id, issuer, subject, email, name, disabled, tokens_not_before, created_at, revision`

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
		return scanUser(tx.QueryRowContext(ctx, `INSERT INTO users (`+userColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING `+userColumns,
			user.ID, user.Issuer, user.Subject, user.Email, user.Name, user.Disabled,
			instant(user.TokensNotBefore), instant(s.orNow(user.CreatedAt)), revision))
	})
	return created, failed(ctx, err, "create user %q", user.ID)
}

// User implements store.Users.
func (s *Store) User(ctx context.Context, id identity.UserID) (store.User, error) {
	user, err := scanUser(s.reads.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id))
	return user, failed(ctx, err, "find user %q", id)
}

// UserBySubject implements store.Users.
func (s *Store) UserBySubject(ctx context.Context, ref identity.SubjectRef) (store.User, error) {
	user, err := scanUser(s.reads.QueryRowContext(ctx,
		`SELECT `+userColumns+` FROM users WHERE issuer = ? AND subject = ?`, ref.Issuer, ref.Subject))
	return user, failed(ctx, err, "find user by subject %q", ref.Subject)
}

// ListUsers implements store.Users.
func (s *Store) ListUsers(ctx context.Context, org identity.OrgID, page store.Page) ([]store.User, string, error) {
	l := listing{columns: userColumns, table: "users", order: []string{"created_at", "id"}}
	if org != "" {
		l.where("id IN (SELECT user_id FROM memberships WHERE org_id = ?)", org)
	}
	users, next, err := readPage(ctx, s.reads, l, page, scanUser, func(u store.User) cursor.Position {
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
		return scanUser(tx.QueryRowContext(ctx, `UPDATE users SET disabled = ?, revision = ?
			WHERE id = ? RETURNING `+userColumns, disabled, revision, id))
	})
	return user, failed(ctx, err, "switch user %q", id)
}

func (tx *mutation) user(ctx context.Context, id identity.UserID) (store.User, error) {
	return scanUser(tx.QueryRowContext(ctx, `SELECT `+userColumns+` FROM users WHERE id = ?`, id))
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
		tokens, err := readAll(ctx, tx, scanToken,
			`SELECT `+tokenColumns+` FROM tokens WHERE user_id = ? AND revoked_at IS NULL ORDER BY issued_at, id`, id)
		if err != nil {
			return store.User{}, err
		}
		if len(tokens) == 0 && !at.After(user.TokensNotBefore) {
			return user, nil
		}
		revision, err := tx.record(ctx, event{
			action: store.ActionUserRevokeTokens, subject: string(id),
			detail: detail{"tokens": fmt.Sprint(len(tokens))},
		}, feed.User(id))
		if err != nil {
			return store.User{}, err
		}
		for _, token := range tokens {
			revision, err := tx.change(ctx, feed.Token(token))
			if err != nil {
				return store.User{}, err
			}
			if _, err := tx.revokeToken(ctx, token.ID, at, revision); err != nil {
				return store.User{}, err
			}
		}
		withdrawn = len(tokens)
		if at.After(user.TokensNotBefore) {
			user.TokensNotBefore = at
		}
		return scanUser(tx.QueryRowContext(ctx, `UPDATE users SET tokens_not_before = ?, revision = ?
			WHERE id = ? RETURNING `+userColumns, instant(user.TokensNotBefore), revision, id))
	})
	if err != nil {
		return store.User{}, 0, failed(ctx, err, "revoke the tokens of user %q", id)
	}
	return user, withdrawn, nil
}
