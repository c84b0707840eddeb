package postgres

import (
	"context"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/cursor"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

const (
	organizationColumns      = `id, slug, name, plan, disabled, created_at, revision`
	selectOrganization       = `SELECT ` + organizationColumns + ` FROM organizations WHERE id = $1`
	selectOrganizationBySlug = `SELECT ` + organizationColumns + ` FROM organizations WHERE slug = $1`
)

func scanOrganization(r row) (store.Organization, error) {
	var o store.Organization
	err := r.Scan(&o.ID, &o.Slug, &o.Name, &o.Plan, &o.Disabled, (*instant)(&o.CreatedAt), &o.Revision)
	return o, err
}

// CreateOrganization implements store.Organizations; the credit account comes
// with the organization.
func (s *Store) CreateOrganization(ctx context.Context, by store.Actor, org store.Organization) (store.Organization, error) {
	if err := valid.Organization(org); err != nil {
		return store.Organization{}, failed(ctx, err, "create organization %q", org.ID)
	}
	created, err := mutate(ctx, s, by, func(tx *mutation) (store.Organization, error) {
		revision, err := tx.record(ctx, event{
			action: store.ActionOrganizationCreate, subject: string(org.ID), org: org.ID,
			detail: detail{"slug": string(org.Slug)},
		}, feed.Organization(org.ID))
		if err != nil {
			return store.Organization{}, err
		}
		created, err := scanOrganization(tx.QueryRow(ctx, `INSERT INTO organizations (`+organizationColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING `+organizationColumns,
			org.ID, org.Slug, org.Name, org.Plan, org.Disabled, instant(s.orNow(org.CreatedAt)), revision))
		if err != nil {
			return store.Organization{}, err
		}
		_, err = tx.Exec(ctx, `INSERT INTO credit_accounts (org_id, balance, pay_as_you_go) VALUES ($1, 0, FALSE)`, org.ID)
		return created, err
	})
	return created, failed(ctx, err, "create organization %q", org.ID)
}

// Organization implements store.Organizations.
func (s *Store) Organization(ctx context.Context, id identity.OrgID) (store.Organization, error) {
	org, err := find(ctx, s, scanOrganization, selectOrganization, id)
	return org, failed(ctx, err, "find organization %q", id)
}

// OrganizationBySlug implements store.Organizations.
func (s *Store) OrganizationBySlug(ctx context.Context, slug identity.OrgSlug) (store.Organization, error) {
	org, err := find(ctx, s, scanOrganization, selectOrganizationBySlug, slug)
	return org, failed(ctx, err, "find organization by slug %q", slug)
}

// ListOrganizations implements store.Organizations.
func (s *Store) ListOrganizations(ctx context.Context, page store.Page) ([]store.Organization, string, error) {
	l := listing{columns: organizationColumns, table: "organizations", byTime: true, order: []string{"created_at", "id"}}
	orgs, next, err := readPage(ctx, s, l, page, scanOrganization, func(o store.Organization) cursor.Position {
		return cursor.Position{At: o.CreatedAt.UnixMicro(), ID: string(o.ID)}
	})
	return orgs, next, failed(ctx, err, "list organizations")
}

// SetOrganizationDisabled implements store.Organizations.
func (s *Store) SetOrganizationDisabled(ctx context.Context, by store.Actor, id identity.OrgID, disabled bool) (store.Organization, error) {
	org, err := mutate(ctx, s, by, func(tx *mutation) (store.Organization, error) {
		org, err := scanOrganization(tx.QueryRow(ctx,
			selectOrganization, id))
		if err != nil || org.Disabled == disabled {
			return org, err
		}
		action := store.ActionOrganizationEnable
		if disabled {
			action = store.ActionOrganizationDisable
		}
		revision, err := tx.record(ctx, event{action: action, subject: string(id), org: id}, feed.Organization(id))
		if err != nil {
			return store.Organization{}, err
		}
		return scanOrganization(tx.QueryRow(ctx, `UPDATE organizations SET disabled = $1, revision = $2
			WHERE id = $3 RETURNING `+organizationColumns, disabled, revision, id))
	})
	return org, failed(ctx, err, "switch organization %q", id)
}
