package storetest

import (
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func organizationTests() []test {
	return []test{
		{"a created organization is found by id and by slug as it was returned", foundOrganization},
		{"ids and slugs that look alike are different organizations", lookalikeOrganizations},
		{"id and slug are unique, each by itself", uniqueOrganizations},
		{"of many who ask for one slug at once exactly one gets it", contestedSlug},
		{"an organization needs an id and a slug", invalidOrganizations},
		{"an unknown organization is not found", unknownOrganizations},
		{"an organization is switched off and on again", switchedOrganization},
	}
}

func foundOrganization(t *testing.T, s store.Store) {
	ctx := t.Context()
	given := organization("org")
	given.Disabled = true
	created := must(s.CreateOrganization(ctx, operator, given))(t)
	if created.Revision == 0 {
		t.Error("the created organization has no revision")
	}
	given.Revision = created.Revision
	equal(t, "created", created, given)
	equal(t, "found by id", must(s.Organization(ctx, "org"))(t), created)
	equal(t, "found by slug", must(s.OrganizationBySlug(ctx, given.Slug))(t), created)
	orgs, next, err := s.ListOrganizations(ctx, whole())
	succeeds(t, err)
	equal(t, "listed", orgs, []store.Organization{created})
	equal(t, "cursor at the end", next, "")
}

func lookalikeOrganizations(t *testing.T, s store.Store) {
	ctx := t.Context()
	names := lookalikes()
	for i, name := range names {
		_, err := s.Organization(ctx, identity.OrgID(name))
		wantError(t, err, store.ErrNotFound)
		org := organization(identity.OrgID(name))
		org.Slug = identity.OrgSlug(names[len(names)-1-i])
		must(s.CreateOrganization(ctx, operator, org))(t)
	}
	for i, name := range names {
		equal(t, "slug", must(s.Organization(ctx, identity.OrgID(name)))(t).Slug, identity.OrgSlug(names[len(names)-1-i]))
		equal(t, "id", must(s.OrganizationBySlug(ctx, identity.OrgSlug(name)))(t).ID, identity.OrgID(names[len(names)-1-i]))
	}
}

func uniqueOrganizations(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := addOrganization(t, s, "org")

	sameID := organization("org")
	sameID.Slug = "another"
	fails(s.CreateOrganization(ctx, operator, sameID))(t, store.ErrConflict)
	fails(s.OrganizationBySlug(ctx, "another"))(t, store.ErrNotFound)

	sameSlug := organization("another")
	sameSlug.Slug = first.Slug
	fails(s.CreateOrganization(ctx, operator, sameSlug))(t, store.ErrConflict)
	fails(s.Organization(ctx, "another"))(t, store.ErrNotFound)
	fails(s.Account(ctx, "another"))(t, store.ErrNotFound)

	equal(t, "the first", must(s.Organization(ctx, "org"))(t), first)
}

func contestedSlug(t *testing.T, s store.Store) {
	errs := concurrently(16, func(i int) error {
		org := organization(identity.OrgID("org-" + string(rune('a'+i))))
		org.Slug = "contested"
		_, err := s.CreateOrganization(t.Context(), operator, org)
		return err
	})
	won, lost := tally(t, errs, store.ErrConflict)
	equal(t, "winners", won, 1)
	equal(t, "losers", lost, 15)
}

func invalidOrganizations(t *testing.T, s store.Store) {
	fails(s.CreateOrganization(t.Context(), operator, organization("")))(t, store.ErrInvalid)
	slugless := organization("org")
	slugless.Slug = ""
	fails(s.CreateOrganization(t.Context(), operator, slugless))(t, store.ErrInvalid)
}

func unknownOrganizations(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	fails(s.Organization(ctx, "unknown"))(t, store.ErrNotFound)
	fails(s.Organization(ctx, ""))(t, store.ErrNotFound)
	fails(s.OrganizationBySlug(ctx, "org"))(t, store.ErrNotFound) // an id is no slug
	fails(s.OrganizationBySlug(ctx, ""))(t, store.ErrNotFound)
	fails(s.SetOrganizationDisabled(ctx, operator, "unknown", true))(t, store.ErrNotFound)
}

func switchedOrganization(t *testing.T, s store.Store) {
	ctx := t.Context()
	want := addOrganization(t, s, "org")
	for _, disabled := range []bool{true, false, true} {
		switched := must(s.SetOrganizationDisabled(ctx, operator, "org", disabled))(t)
		if switched.Revision <= want.Revision {
			t.Errorf("revision %d does not follow %d", switched.Revision, want.Revision)
		}
		want.Disabled, want.Revision = disabled, switched.Revision
		equal(t, "switched", switched, want)
		equal(t, "found", must(s.Organization(ctx, "org"))(t), want)
	}
}
