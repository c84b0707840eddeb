package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"postern/authz/identity"
	"postern/store"
)

// NewUser describes a user to create. An empty ID is generated; without an
// Issuer an empty Subject is the ID.
type NewUser struct {
	ID      identity.UserID
	Issuer  identity.Issuer
	Subject string
	Email   string
	Name    string
}

// CreateUser adds a user.
func (s *Service) CreateUser(ctx context.Context, by store.Actor, n NewUser) (store.User, error) {
	var c checks
	c.newID("id", string(n.ID))
	c.visible("issuer", string(n.Issuer), maxIssuer)
	if n.Issuer != "" {
		c.required("subject", n.Subject, "name the sub of the user's tokens of that issuer")
	}
	c.visible("subject", n.Subject, maxSubject)
	c.text("email", n.Email, maxName)
	if n.Email != "" && !strings.Contains(n.Email, "@") {
		c.add("email", "is not an address", "use the form name@host, or leave it out")
	}
	c.text("name", n.Name, maxName)
	if err := c.err(); err != nil {
		return store.User{}, err
	}
	if n.ID == "" {
		n.ID = identity.UserID(newID("user_"))
	}
	user, err := s.store.CreateUser(ctx, by, store.User{
		User:      identity.User{ID: n.ID, Issuer: n.Issuer, Subject: n.Subject},
		Email:     n.Email,
		Name:      n.Name,
		CreatedAt: s.clock(),
	})
	if err != nil {
		return user, failed(err, meaning{conflict: fmt.Sprintf("a user with the id %q or this issuer and subject exists already", n.ID)})
	}
	s.confirm(ctx, user.Revision)
	return user, nil
}

// User finds one by id.
func (s *Service) User(ctx context.Context, id identity.UserID) (store.User, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.User{}, c.err()
	}
	user, err := s.store.User(ctx, id)
	if err != nil {
		return user, failed(err, meaning{notFound: noUser(id)})
	}
	return user, nil
}

// ListUsers returns a page of all users, or of an organization's members, and
// the token of the next page.
func (s *Service) ListUsers(ctx context.Context, org identity.OrgID, p Paging) ([]store.User, string, error) {
	var c checks
	c.newID("organization_id", string(org))
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	users, next, err := s.store.ListUsers(ctx, org, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return users, next, nil
}

// SetUserDisabled refuses every credential of a user, or no longer.
func (s *Service) SetUserDisabled(ctx context.Context, by store.Actor, id identity.UserID, disabled bool) (store.User, Confirmation, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.User{}, Confirmation{}, c.err()
	}
	user, err := s.store.SetUserDisabled(ctx, by, id, disabled)
	if err != nil {
		return user, Confirmation{}, failed(err, meaning{notFound: noUser(id)})
	}
	return user, s.confirm(ctx, user.Revision), nil
}

// PutMembership adds a user to an organization, or replaces the permissions there.
func (s *Service) PutMembership(ctx context.Context, by store.Actor, ref identity.MembershipRef, permissions []string) (store.Membership, Confirmation, error) {
	var c checks
	c.membership(ref)
	c.permissions("permissions", permissions)
	if err := c.err(); err != nil {
		return store.Membership{}, Confirmation{}, err
	}
	m, err := s.store.PutMembership(ctx, by, store.Membership{
		Membership: identity.Membership{Org: ref.Org, User: ref.User, Grants: identity.NewGrants(permissions...)},
		CreatedAt:  s.clock(),
	})
	if err != nil {
		return m, Confirmation{}, failed(err, meaning{reference: s.missingMember(ctx, ref)})
	}
	return m, s.confirm(ctx, m.Revision), nil
}

// DeleteMembership takes a user out of an organization.
func (s *Service) DeleteMembership(ctx context.Context, by store.Actor, ref identity.MembershipRef) (Confirmation, error) {
	var c checks
	c.membership(ref)
	if err := c.err(); err != nil {
		return Confirmation{}, err
	}
	if err := s.store.DeleteMembership(ctx, by, ref); err != nil {
		return Confirmation{}, failed(err, meaning{notFound: fmt.Sprintf("the user %q is not a member of the organization %q", ref.User, ref.Org)})
	}
	return s.confirmLatest(ctx), nil
}

// ListMemberships returns all memberships of a user.
func (s *Service) ListMemberships(ctx context.Context, id identity.UserID) ([]store.Membership, error) {
	var c checks
	if c.id("user_id", string(id)); c.err() != nil {
		return nil, c.err()
	}
	if _, err := s.store.User(ctx, id); err != nil {
		return nil, failed(err, meaning{notFound: noUser(id)})
	}
	list, err := s.store.ListMemberships(ctx, id)
	if err != nil {
		return nil, failed(err, meaning{})
	}
	return list, nil
}

func (c *checks) membership(ref identity.MembershipRef) {
	c.id("organization_id", string(ref.Org))
	c.id("user_id", string(ref.User))
}

// missingMember says which of the two does not exist.
func (s *Service) missingMember(ctx context.Context, ref identity.MembershipRef) *Error {
	if _, err := s.store.Organization(ctx, ref.Org); errors.Is(err, store.ErrNotFound) {
		return invalid("organization_id", noOrganization(ref.Org), "create it first")
	}
	return invalid("user_id", noUser(ref.User), "create the user first")
}

func noUser(id identity.UserID) string { return fmt.Sprintf("there is no user with the id %q", id) }
