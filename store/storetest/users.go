package storetest

import (
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func userTests() []test {
	return []test{
		{"a created user is found by id and by subject as it was returned", foundUser},
		{"a user of Postern's own without a subject gets the id as subject", ownSubject},
		{"ids, issuers and subjects that look alike are different users", lookalikeUsers},
		{"an id is unique, and a subject within its issuer", uniqueUsers},
		{"a user needs an id, and a subject if the issuer is foreign", invalidUsers},
		{"an unknown user is not found", unknownUsers},
		{"a user is switched off and on again", switchedUser},
	}
}

func membershipTests() []test {
	return []test{
		{"putting a membership adds it, putting it again replaces the grants", putMembership},
		{"a membership needs its organization and its user", membershipReferences},
		{"a membership is of exactly one organization and one user", lookalikeMemberships},
		{"the memberships of a user are listed, oldest first", listedMemberships},
		{"a deleted membership is gone, and may come again", deletedMembership},
		{"the users of an organization are its members", membersOfAnOrganization},
	}
}

func foundUser(t *testing.T, s store.Store) {
	ctx := t.Context()
	given := user("user")
	given.Issuer, given.Subject = "https://issuer.example", "auth0|123"
	given.Disabled, given.TokensNotBefore = true, day(3)
	created := must(s.CreateUser(ctx, operator, given))(t)
	if created.Revision == 0 {
		t.Error("the created user has no revision")
	}
	given.Revision = created.Revision
	equal(t, "created", created, given)
	equal(t, "found by id", must(s.User(ctx, "user"))(t), created)
	ref := identity.SubjectRef{Issuer: given.Issuer, Subject: given.Subject}
	equal(t, "found by subject", must(s.UserBySubject(ctx, ref))(t), created)
}

func ownSubject(t *testing.T, s store.Store) {
	given := user("user")
	given.Subject = ""
	created := must(s.CreateUser(t.Context(), operator, given))(t)
	equal(t, "subject", created.Subject, "user")
	equal(t, "found", must(s.UserBySubject(t.Context(), identity.SubjectRef{Subject: "user"}))(t), created)
}

func lookalikeUsers(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, name := range lookalikes() {
		fails(s.User(ctx, identity.UserID(name)))(t, store.ErrNotFound)
		own := user(identity.UserID(name))
		must(s.CreateUser(ctx, operator, own))(t)

		foreign := user(identity.UserID("of " + name))
		foreign.Issuer, foreign.Subject = identity.Issuer(name), "one"
		must(s.CreateUser(ctx, operator, foreign))(t)
	}
	for _, name := range lookalikes() {
		equal(t, "id", must(s.User(ctx, identity.UserID(name)))(t).ID, identity.UserID(name))
		own := must(s.UserBySubject(ctx, identity.SubjectRef{Subject: name}))(t)
		equal(t, "id of a subject", own.ID, identity.UserID(name))
		foreign := must(s.UserBySubject(ctx, identity.SubjectRef{Issuer: identity.Issuer(name), Subject: "one"}))(t)
		equal(t, "id of an issuer's", foreign.ID, identity.UserID("of "+name))
	}
}

func uniqueUsers(t *testing.T, s store.Store) {
	ctx := t.Context()
	first := addUser(t, s, "user")

	sameID := user("user")
	sameID.Subject = "another"
	fails(s.CreateUser(ctx, operator, sameID))(t, store.ErrConflict)

	sameSubject := user("another")
	sameSubject.Subject = "user"
	fails(s.CreateUser(ctx, operator, sameSubject))(t, store.ErrConflict)

	sameSubject.Issuer = "https://issuer.example"
	must(s.CreateUser(ctx, operator, sameSubject))(t)
	equal(t, "the first", must(s.User(ctx, "user"))(t), first)
}

func invalidUsers(t *testing.T, s store.Store) {
	fails(s.CreateUser(t.Context(), operator, user("")))(t, store.ErrInvalid)
	foreign := user("user")
	foreign.Issuer, foreign.Subject = "https://issuer.example", ""
	fails(s.CreateUser(t.Context(), operator, foreign))(t, store.ErrInvalid)
}

func unknownUsers(t *testing.T, s store.Store) {
	ctx := t.Context()
	addUser(t, s, "user")
	fails(s.User(ctx, "unknown"))(t, store.ErrNotFound)
	fails(s.User(ctx, ""))(t, store.ErrNotFound)
	fails(s.UserBySubject(ctx, identity.SubjectRef{Subject: "unknown"}))(t, store.ErrNotFound)
	fails(s.UserBySubject(ctx, identity.SubjectRef{Issuer: "https://issuer.example", Subject: "user"}))(t, store.ErrNotFound)
	fails(s.SetUserDisabled(ctx, operator, "unknown", true))(t, store.ErrNotFound)
}

func switchedUser(t *testing.T, s store.Store) {
	ctx := t.Context()
	want := addUser(t, s, "user")
	for _, disabled := range []bool{true, false} {
		switched := must(s.SetUserDisabled(ctx, operator, "user", disabled))(t)
		if switched.Revision <= want.Revision {
			t.Errorf("revision %d does not follow %d", switched.Revision, want.Revision)
		}
		want.Disabled, want.Revision = disabled, switched.Revision
		equal(t, "switched", switched, want)
		equal(t, "found", must(s.User(ctx, "user"))(t), want)
	}
}

func membership(org identity.OrgID, user identity.UserID, at time.Time, names ...string) store.Membership {
	return store.Membership{
		Membership: identity.Membership{Org: org, User: user, Grants: identity.NewGrants(names...)}, CreatedAt: at,
	}
}

func putMembership(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addUser(t, s, "user")
	ref := identity.MembershipRef{Org: "org", User: "user"}
	fails(s.Membership(ctx, ref))(t, store.ErrNotFound)

	want := membership("org", "user", day(2), "WRITE", "READ")
	first := must(s.PutMembership(ctx, operator, want))(t)
	want.Revision = first.Revision
	equal(t, "put", first, want)
	equal(t, "found", must(s.Membership(ctx, ref))(t), want)

	second := must(s.PutMembership(ctx, operator, membership("org", "user", day(9), "READ")))(t)
	if second.Revision <= first.Revision {
		t.Errorf("revision %d does not follow %d", second.Revision, first.Revision)
	}
	want.Grants, want.Revision = identity.NewGrants("READ"), second.Revision
	equal(t, "put again", second, want)
	equal(t, "found again", must(s.Membership(ctx, ref))(t), want)

	none := must(s.PutMembership(ctx, operator, membership("org", "user", day(9))))(t)
	equal(t, "grants that were all taken away", none.Grants.String(), "")
	equal(t, "memberships", len(must(s.ListMemberships(ctx, "user"))(t)), 1)
}

func membershipReferences(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addUser(t, s, "user")
	fails(s.PutMembership(ctx, operator, membership("unknown", "user", day(1))))(t, store.ErrReference)
	fails(s.PutMembership(ctx, operator, membership("org", "unknown", day(1))))(t, store.ErrReference)
	fails(s.PutMembership(ctx, operator, membership("ORG", "user", day(1))))(t, store.ErrReference)
	equal(t, "memberships", len(must(s.ListMemberships(ctx, "user"))(t)), 0)
}

func lookalikeMemberships(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, id := range []string{"a", "A"} {
		addOrganization(t, s, identity.OrgID(id))
		addUser(t, s, identity.UserID(id))
	}
	must(s.PutMembership(ctx, operator, membership("a", "A", day(1), "READ")))(t)
	for _, ref := range []identity.MembershipRef{{Org: "a", User: "a"}, {Org: "A", User: "a"}, {Org: "A", User: "A"}} {
		fails(s.Membership(ctx, ref))(t, store.ErrNotFound)
		wantError(t, s.DeleteMembership(ctx, operator, ref), store.ErrNotFound)
	}
	must(s.Membership(ctx, identity.MembershipRef{Org: "a", User: "A"}))(t)
}

func listedMemberships(t *testing.T, s store.Store) {
	ctx := t.Context()
	addUser(t, s, "user")
	addUser(t, s, "other")
	for i, org := range []identity.OrgID{"org-c", "org-b", "org-a"} {
		addOrganization(t, s, org)
		at := day(max(i, 1)) // the first two at once: the id decides
		must(s.PutMembership(ctx, operator, membership(org, "user", at, "READ")))(t)
		must(s.PutMembership(ctx, operator, membership(org, "other", at, "READ")))(t)
	}
	var orgs []identity.OrgID
	for _, m := range must(s.ListMemberships(ctx, "user"))(t) {
		equal(t, "user", m.User, identity.UserID("user"))
		orgs = append(orgs, m.Org)
	}
	equal(t, "organizations", orgs, []identity.OrgID{"org-b", "org-c", "org-a"})
	equal(t, "memberships of nobody", len(must(s.ListMemberships(ctx, "unknown"))(t)), 0)
}

func deletedMembership(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addUser(t, s, "user")
	ref := identity.MembershipRef{Org: "org", User: "user"}
	wantError(t, s.DeleteMembership(ctx, operator, ref), store.ErrNotFound)
	must(s.PutMembership(ctx, operator, membership("org", "user", day(1), "READ")))(t)
	succeeds(t, s.DeleteMembership(ctx, operator, ref))
	fails(s.Membership(ctx, ref))(t, store.ErrNotFound)
	wantError(t, s.DeleteMembership(ctx, operator, ref), store.ErrNotFound)

	again := must(s.PutMembership(ctx, operator, membership("org", "user", day(2), "WRITE")))(t)
	equal(t, "put again", must(s.Membership(ctx, ref))(t), again)
}

func membersOfAnOrganization(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addOrganization(t, s, "empty")
	for _, id := range []identity.UserID{"stranger", "member-b", "member-a"} {
		addUser(t, s, id)
		if id != "stranger" {
			must(s.PutMembership(ctx, operator, membership("org", id, day(1))))(t)
		}
	}
	for org, want := range map[identity.OrgID][]identity.UserID{
		"": {"member-a", "member-b", "stranger"}, "org": {"member-a", "member-b"}, "empty": nil, "ORG": nil,
	} {
		users, _, err := s.ListUsers(ctx, org, whole())
		succeeds(t, err)
		var ids []identity.UserID
		for _, u := range users {
			ids = append(ids, u.ID)
		}
		equal(t, "users of organization "+string(org), ids, want)
	}
}
