package admin

import (
	"context"
	"fmt"

	"postern/authz/identity"
	"postern/store"
)

// NewResource describes a resource to create. An empty ID is generated.
type NewResource struct {
	ID   identity.ResourceID
	Kind identity.ResourceKind
	Slug string
	Org  identity.OrgID
}

// CreateResource adds a resource.
func (s *Service) CreateResource(ctx context.Context, by store.Actor, n NewResource) (store.Resource, error) {
	var c checks
	c.newID("id", string(n.ID))
	c.slug("kind", string(n.Kind))
	c.slug("slug", n.Slug)
	c.id("organization_id", string(n.Org))
	if err := c.err(); err != nil {
		return store.Resource{}, err
	}
	if n.ID == "" {
		n.ID = identity.ResourceID(newID("res_"))
	}
	r, err := s.store.CreateResource(ctx, by, store.Resource{
		Resource:  identity.Resource{ID: n.ID, Kind: n.Kind, Slug: n.Slug, Org: n.Org},
		CreatedAt: s.clock(),
	})
	if err != nil {
		return r, failed(err, meaning{
			conflict:  fmt.Sprintf("a %s with the id %q, or with the slug %q in this organization, exists already", n.Kind, n.ID, n.Slug),
			reference: invalid("organization_id", noOrganization(n.Org), "create it first"),
		})
	}
	s.confirm(ctx, r.Revision)
	return r, nil
}

// ListResources returns a page and the token of the next.
func (s *Service) ListResources(ctx context.Context, filter store.ResourceFilter, p Paging) ([]store.Resource, string, error) {
	var c checks
	c.newID("organization_id", string(filter.Org))
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	resources, next, err := s.store.ListResources(ctx, filter, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return resources, next, nil
}

// DeleteResource removes a resource.
func (s *Service) DeleteResource(ctx context.Context, by store.Actor, kind identity.ResourceKind, id identity.ResourceID) (Confirmation, error) {
	var c checks
	c.slug("kind", string(kind))
	c.id("id", string(id))
	if err := c.err(); err != nil {
		return Confirmation{}, err
	}
	if err := s.store.DeleteResource(ctx, by, kind, id); err != nil {
		return Confirmation{}, failed(err, meaning{notFound: fmt.Sprintf("there is no %s with the id %q", kind, id)})
	}
	return s.confirmLatest(ctx), nil
}
