package storetest

import (
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func resourceTests() []test {
	return []test{
		{"a created resource is found by slug and by id as it was returned", foundResource},
		{"a slug finds the organization's own resource before another's", ownBeforeForeign},
		{"a resource that exists nowhere is not found", unknownResources},
		{"a look-up names exactly one of slug and id", ambiguousResource},
		{"ids, slugs and kinds that look alike are different resources", lookalikeResources},
		{"a slug is unique within organization and kind, an id within its kind", uniqueResources},
		{"resources without a slug are found by id only", sluglessResources},
		{"a resource needs its organization, an id and a kind", invalidResources},
		{"a deleted resource is gone, and its names are free", deletedResource},
		{"a list of resources keeps to its filter", filteredResources},
	}
}

func foundResource(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	given := resource("id")
	created := must(s.CreateResource(ctx, operator, given))(t)
	if created.Revision == 0 {
		t.Error("the created resource has no revision")
	}
	given.Revision = created.Revision
	equal(t, "created", created, given)
	bySlug := identity.ResourceRef{Org: "org", Kind: "project", Slug: given.Slug}
	equal(t, "found by slug", must(s.FindResource(ctx, bySlug))(t), created.Resource)
	for _, org := range []identity.OrgID{"org", "another", ""} {
		byID := identity.ResourceRef{Org: org, Kind: "project", ID: "id"}
		equal(t, "found by id", must(s.FindResource(ctx, byID))(t), created.Resource)
	}
}

func ownBeforeForeign(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, id := range []string{"first", "own", "last"} {
		addOrganization(t, s, identity.OrgID(id))
		r := resource(identity.ResourceID("of-" + id))
		r.Org, r.Slug = identity.OrgID(id), "shared"
		addResource(t, s, r)
	}
	addOrganization(t, s, "stranger")
	for _, org := range []identity.OrgID{"first", "own", "last"} {
		found := must(s.FindResource(ctx, identity.ResourceRef{Org: org, Kind: "project", Slug: "shared"}))(t)
		equal(t, "owner", found.Org, org)
	}
	foreign := must(s.FindResource(ctx, identity.ResourceRef{Org: "stranger", Kind: "project", Slug: "shared"}))(t)
	if foreign.Org == "stranger" || foreign.Slug != "shared" {
		t.Errorf("found %+v, want another organization's", foreign)
	}
	fails(s.FindResource(ctx, identity.ResourceRef{Org: "own", Kind: "dataset", Slug: "shared"}))(t, store.ErrNotFound)
}

func unknownResources(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addResource(t, s, resource("id"))
	for _, ref := range []identity.ResourceRef{
		{Org: "org", Kind: "project", Slug: "unknown"}, {Org: "org", Kind: "project", ID: "unknown"},
		{Org: "org", Kind: "project", Slug: "id"}, {Org: "org", Kind: "project", ID: "slug-of-id"},
		{Org: "org", Kind: "PROJECT", Slug: "slug-of-id"}, {Org: "org", Kind: "PROJECT", ID: "id"},
		{Org: "org", ID: "id"},
	} {
		fails(s.FindResource(ctx, ref))(t, store.ErrNotFound)
	}
}

func ambiguousResource(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	addResource(t, s, resource("id"))
	fails(s.FindResource(t.Context(), identity.ResourceRef{Org: "org", Kind: "project"}))(t, store.ErrInvalid)
	both := identity.ResourceRef{Org: "org", Kind: "project", Slug: "slug-of-id", ID: "id"}
	fails(s.FindResource(t.Context(), both))(t, store.ErrInvalid)
}

func lookalikeResources(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	for _, name := range lookalikes() {
		addResource(t, s, resource(identity.ResourceID(name)))
		ofKind := resource("id")
		ofKind.Kind = identity.ResourceKind(name)
		addResource(t, s, ofKind)
	}
	for _, name := range lookalikes() {
		id := identity.ResourceID(name)
		equal(t, "by id", must(s.FindResource(ctx, identity.ResourceRef{Kind: "project", ID: id}))(t).ID, id)
		bySlug := identity.ResourceRef{Org: "org", Kind: "project", Slug: "slug-of-" + name}
		equal(t, "by slug", must(s.FindResource(ctx, bySlug))(t).ID, id)
		kind := identity.ResourceKind(name)
		equal(t, "by kind", must(s.FindResource(ctx, identity.ResourceRef{Kind: kind, ID: "id"}))(t).Kind, kind)
	}
}

func uniqueResources(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addOrganization(t, s, "other")
	first := addResource(t, s, resource("id"))
	with := func(change func(*store.Resource)) store.Resource {
		r := resource("id")
		change(&r)
		return r
	}
	sameSlug := with(func(r *store.Resource) { r.ID = "another" })
	sameID := with(func(r *store.Resource) { r.Slug = "another" })
	sameIDElsewhere := with(func(r *store.Resource) { r.Org, r.Slug = "other", "another" })
	for _, r := range []store.Resource{sameSlug, sameID, sameIDElsewhere} {
		fails(s.CreateResource(ctx, operator, r))(t, store.ErrConflict)
	}
	addResource(t, s, with(func(r *store.Resource) { r.ID, r.Org = "another", "other" }))
	addResource(t, s, with(func(r *store.Resource) { r.Kind = "dataset" }))
	equal(t, "the first", must(s.FindResource(ctx, identity.ResourceRef{Kind: "project", ID: "id"}))(t), first.Resource)
}

func sluglessResources(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	for _, id := range []identity.ResourceID{"a", "b"} {
		r := resource(id)
		r.Slug = ""
		addResource(t, s, r)
		equal(t, "found", must(s.FindResource(t.Context(), identity.ResourceRef{Kind: "project", ID: id}))(t).ID, id)
	}
}

func invalidResources(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	fails(s.CreateResource(ctx, operator, resource("")))(t, store.ErrInvalid)
	kindless := resource("id")
	kindless.Kind = ""
	fails(s.CreateResource(ctx, operator, kindless))(t, store.ErrInvalid)
	for _, org := range []identity.OrgID{"", "unknown", "ORG"} {
		orphan := resource("id")
		orphan.Org = org
		fails(s.CreateResource(ctx, operator, orphan))(t, store.ErrReference)
	}
	fails(s.FindResource(ctx, identity.ResourceRef{Kind: "project", ID: "id"}))(t, store.ErrNotFound)
}

func deletedResource(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addResource(t, s, resource("id"))
	other := resource("id")
	other.Kind = "dataset"
	addResource(t, s, other)

	for _, ref := range []identity.ResourceRef{{Kind: "PROJECT", ID: "id"}, {Kind: "project", ID: "ID"}} {
		wantError(t, s.DeleteResource(ctx, operator, ref.Kind, ref.ID), store.ErrNotFound)
	}
	succeeds(t, s.DeleteResource(ctx, operator, "project", "id"))
	wantError(t, s.DeleteResource(ctx, operator, "project", "id"), store.ErrNotFound)
	fails(s.FindResource(ctx, identity.ResourceRef{Kind: "project", ID: "id"}))(t, store.ErrNotFound)
	fails(s.FindResource(ctx, identity.ResourceRef{Org: "org", Kind: "project", Slug: "slug-of-id"}))(t, store.ErrNotFound)
	must(s.FindResource(ctx, identity.ResourceRef{Kind: "dataset", ID: "id"}))(t)
	addResource(t, s, resource("id"))
}

func filteredResources(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addOrganization(t, s, "other")
	for _, v := range []struct {
		id   identity.ResourceID
		kind identity.ResourceKind
		org  identity.OrgID
	}{{"1", "project", "org"}, {"2", "dataset", "org"}, {"3", "project", "other"}} {
		r := resource(v.id)
		r.Kind, r.Org = v.kind, v.org
		addResource(t, s, r)
	}
	for name, c := range map[string]struct {
		filter store.ResourceFilter
		want   string
	}{
		"all":                {store.ResourceFilter{}, "123"},
		"of an organization": {store.ResourceFilter{Org: "org"}, "12"},
		"of a kind":          {store.ResourceFilter{Kind: "project"}, "13"},
		"of both":            {store.ResourceFilter{Org: "org", Kind: "project"}, "1"},
		"of nobody":          {store.ResourceFilter{Org: "ORG"}, ""},
	} {
		resources, _, err := s.ListResources(ctx, c.filter, whole())
		succeeds(t, err)
		got := ""
		for _, r := range resources {
			got += string(r.ID)
		}
		equal(t, name, got, c.want)
	}
}
