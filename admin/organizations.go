package admin

import (
	"context"
	"fmt"

	"postern/authz/identity"
	"postern/store"
)

// Paging asks for a page: Size 1 to 1000, 0 for 100; Token as the page before
// returned it, empty for the first.
type Paging struct {
	Size  int32
	Token string
}

// NewOrganization describes an organization to create. An empty ID is generated,
// an empty Name is the slug.
type NewOrganization struct {
	ID   identity.OrgID
	Slug identity.OrgSlug
	Name string
	Plan string
}

// CreateOrganization adds a tenant.
func (s *Service) CreateOrganization(ctx context.Context, by store.Actor, n NewOrganization) (store.Organization, error) {
	var c checks
	c.newID("id", string(n.ID))
	c.slug("slug", string(n.Slug))
	c.text("name", n.Name, maxName)
	c.label("plan", n.Plan)
	if err := c.err(); err != nil {
		return store.Organization{}, err
	}
	if n.ID == "" {
		n.ID = identity.OrgID(newID("org_"))
	}
	org, err := s.store.CreateOrganization(ctx, by, store.Organization{
		Organization: identity.Organization{ID: n.ID, Slug: n.Slug, Plan: n.Plan},
		Name:         or(n.Name, string(n.Slug)),
		CreatedAt:    s.clock(),
	})
	if err != nil {
		return org, failed(err, meaning{conflict: fmt.Sprintf("an organization with the id %q or the slug %q exists already; choose others", n.ID, n.Slug)})
	}
	s.confirm(ctx, org.Revision)
	return org, nil
}

// Organization finds one by id.
func (s *Service) Organization(ctx context.Context, id identity.OrgID) (store.Organization, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.Organization{}, c.err()
	}
	org, err := s.store.Organization(ctx, id)
	if err != nil {
		return org, failed(err, meaning{notFound: noOrganization(id)})
	}
	return org, nil
}

// OrganizationBySlug finds one by its slug.
func (s *Service) OrganizationBySlug(ctx context.Context, slug identity.OrgSlug) (store.Organization, error) {
	var c checks
	if c.slug("slug", string(slug)); c.err() != nil {
		return store.Organization{}, c.err()
	}
	org, err := s.store.OrganizationBySlug(ctx, slug)
	if err != nil {
		return org, failed(err, meaning{notFound: fmt.Sprintf("there is no organization with the slug %q", slug)})
	}
	return org, nil
}

// ListOrganizations returns a page and the token of the next, empty at the end.
func (s *Service) ListOrganizations(ctx context.Context, p Paging) ([]store.Organization, string, error) {
	var c checks
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	orgs, next, err := s.store.ListOrganizations(ctx, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return orgs, next, nil
}

// SetOrganizationDisabled refuses every credential of an organization, or no longer.
func (s *Service) SetOrganizationDisabled(ctx context.Context, by store.Actor, id identity.OrgID, disabled bool) (store.Organization, Confirmation, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.Organization{}, Confirmation{}, c.err()
	}
	org, err := s.store.SetOrganizationDisabled(ctx, by, id, disabled)
	if err != nil {
		return org, Confirmation{}, failed(err, meaning{notFound: noOrganization(id)})
	}
	return org, s.confirm(ctx, org.Revision), nil
}

func noOrganization(id identity.OrgID) string {
	return fmt.Sprintf("there is no organization with the id %q", id)
}
