package postgres

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

const membershipColumns = `org_id, user_id, grants, created_at, revision`

func scanMembership(r row) (store.Membership, error) {
	var m store.Membership
	err := r.Scan(&m.Org, &m.User, &m.Grants, (*instant)(&m.CreatedAt), &m.Revision)
	return m, err
}

const selectMembership = `SELECT ` + membershipColumns + ` FROM memberships WHERE org_id = $1 AND user_id = $2`

// PutMembership implements store.Users.
func (s *Store) PutMembership(ctx context.Context, by store.Actor, m store.Membership) (store.Membership, error) {
	if err := valid.Membership(m); err != nil {
		return store.Membership{}, failed(ctx, err, "put user into organization")
	}
	put, err := mutate(ctx, s, by, func(tx *mutation) (store.Membership, error) {
		before, err := scanMembership(tx.QueryRow(ctx, selectMembership, m.Org, m.User))
		if err == nil && slices.Equal(before.Grants.List(), m.Grants.List()) {
			return before, nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return store.Membership{}, err
		}
		revision, err := tx.record(ctx, event{
			action: store.ActionMembershipPut, subject: string(m.User), org: m.Org,
			detail: detail{"grants": m.Grants.String()},
		}, feed.Membership(m.Org, m.User))
		if err != nil {
			return store.Membership{}, err
		}
		return scanMembership(tx.QueryRow(ctx, `INSERT INTO memberships (`+membershipColumns+`)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (org_id, user_id) DO UPDATE SET grants = excluded.grants, revision = excluded.revision
			RETURNING `+membershipColumns,
			m.Org, m.User, m.Grants, instant(s.orNow(m.CreatedAt)), revision))
	})
	return put, failed(ctx, err, "put user %q into organization %q", m.User, m.Org)
}

// Membership implements store.Users.
func (s *Store) Membership(ctx context.Context, ref identity.MembershipRef) (store.Membership, error) {
	m, err := find(ctx, s, scanMembership, selectMembership, ref.Org, ref.User)
	return m, failed(ctx, err, "find membership of user %q in organization %q", ref.User, ref.Org)
}

// ListMemberships implements store.Users.
func (s *Store) ListMemberships(ctx context.Context, user identity.UserID) ([]store.Membership, error) {
	memberships, err := findAll(ctx, s, scanMembership,
		`SELECT `+membershipColumns+` FROM memberships WHERE user_id = $1 ORDER BY created_at, org_id`, user)
	return memberships, failed(ctx, err, "list memberships of user %q", user)
}

// DeleteMembership implements store.Users.
func (s *Store) DeleteMembership(ctx context.Context, by store.Actor, ref identity.MembershipRef) error {
	_, err := mutate(ctx, s, by, func(tx *mutation) (store.Membership, error) {
		m, err := scanMembership(tx.QueryRow(ctx, `DELETE FROM memberships
			WHERE org_id = $1 AND user_id = $2 RETURNING `+membershipColumns, ref.Org, ref.User))
		if err != nil {
			return m, err
		}
		_, err = tx.record(ctx, event{action: store.ActionMembershipDelete, subject: string(ref.User), org: ref.Org},
			feed.Membership(ref.Org, ref.User))
		return m, err
	})
	return failed(ctx, err, "take user %q out of organization %q", ref.User, ref.Org)
}
