package storetest

import (
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func textTests() []test {
	return []test{
		{"a look-up of what is no text finds nothing", lookUpOfNoText},
		{"a record with what is no text is refused, and nothing is written", recordOfNoText},
	}
}

// noTexts are what a request may hold and no record can.
func noTexts() []string { return []string{"\xff", "a\x00", "org\xed\xa0\x80"} }

func lookUpOfNoText(t *testing.T, s store.Store) {
	ctx := t.Context()
	withEverything(t, s)
	for _, bad := range noTexts() {
		errs := map[string]error{}
		add := func(name string) func(any, error) {
			return func(_ any, err error) { errs[name] = err }
		}
		add("Organization")(s.Organization(ctx, identity.OrgID(bad)))
		add("OrganizationBySlug")(s.OrganizationBySlug(ctx, identity.OrgSlug(bad)))
		add("User")(s.User(ctx, identity.UserID(bad)))
		add("UserBySubject")(s.UserBySubject(ctx, identity.SubjectRef{Issuer: identity.Issuer(bad), Subject: bad}))
		add("Membership")(s.Membership(ctx, identity.MembershipRef{Org: "org", User: identity.UserID(bad)}))
		add("Key")(s.Key(ctx, identity.KeyID(bad)))
		add("RevokeKey")(s.RevokeKey(ctx, operator, identity.KeyID(bad), day(2)))
		add("Token")(s.Token(ctx, identity.TokenID(bad)))
		add("TokenState")(s.TokenState(ctx, identity.TokenRef{ID: identity.TokenID(bad)}))
		add("TokenState of a foreign one")(s.TokenState(ctx, identity.TokenRef{Issuer: "issuer", ID: identity.TokenID(bad)}))
		add("FindResource by slug")(s.FindResource(ctx, identity.ResourceRef{Org: "org", Kind: "project", Slug: bad}))
		add("FindResource by id")(s.FindResource(ctx, identity.ResourceRef{Kind: "project", ID: identity.ResourceID(bad)}))
		add("Account")(s.Account(ctx, identity.OrgID(bad)))
		for name, err := range errs {
			t.Run(name, func(t *testing.T) { wantError(t, err, store.ErrNotFound) })
		}
		keys, _, err := s.ListKeys(ctx, store.KeyFilter{Org: identity.OrgID(bad)}, whole())
		succeeds(t, err)
		equal(t, "keys", len(keys), 0)
		equal(t, "memberships", len(must(s.ListMemberships(ctx, identity.UserID(bad)))(t)), 0)
		wantUsage(t, s, identity.KeyID(bad), 0, time.Time{})
		succeeds(t, s.Leave(ctx, identity.ReplicaID(bad)))
	}
}

func recordOfNoText(t *testing.T, s store.Store) {
	ctx := t.Context()
	withEverything(t, s)
	before, anybody := readWritten(t, s), user("anybody")
	for _, bad := range noTexts() {
		org, user, k, v, r := organization("new"), user("new"), key("new"), token("new"), resource("new")
		org.Name, user.Email, k.Description, v.Name, r.Slug = bad, bad, bad, bad, bad
		fails(s.CreateOrganization(ctx, operator, org))(t, store.ErrInvalid)
		fails(s.CreateUser(ctx, operator, user))(t, store.ErrInvalid)
		fails(s.CreateKey(ctx, operator, k, store.KeyLimit{}))(t, store.ErrInvalid)
		fails(s.CreateToken(ctx, operator, v))(t, store.ErrInvalid)
		fails(s.CreateResource(ctx, operator, r))(t, store.ErrInvalid)
		fails(s.CreateUser(ctx, store.Actor(bad), anybody))(t, store.ErrInvalid)
		fails(s.PutMembership(ctx, operator, membership("org", "user", day(1), bad)))(t, store.ErrInvalid)
		fails(s.RevokeToken(ctx, operator, identity.TokenRef{Issuer: identity.Issuer(bad), ID: "id"}, day(1)))(t, store.ErrInvalid)
		fails(s.TopUp(ctx, operator, "org", 1, bad, day(1)))(t, store.ErrInvalid)
		_, _, err := s.Reserve(ctx, reservation(bad, 1))
		wantError(t, err, store.ErrInvalid)
	}
	equal(t, "written", readWritten(t, s), before)
	wantLedger(t, s, "org", 0, 0)
}
