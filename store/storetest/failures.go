package storetest

import (
	"context"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func failureTests() []test {
	return []test{
		{"a store that can be read answers a ping", pinged},
		{"a call whose caller is gone is not answered", cancelledCalls},
		{"a closed store answers nothing", closedStore},
	}
}

// reads asks every question that the store made by withEverything could answer.
func reads(ctx context.Context, s store.Store) map[string]error {
	errs := make(map[string]error)
	add := func(name string) func(any, error) {
		return func(_ any, err error) { errs[name] = err }
	}
	addPage := func(name string) func(any, string, error) {
		return func(_ any, _ string, err error) { errs[name] = err }
	}
	add("Organization")(s.Organization(ctx, "org"))
	add("OrganizationBySlug")(s.OrganizationBySlug(ctx, "slug-of-org"))
	addPage("ListOrganizations")(s.ListOrganizations(ctx, whole()))
	add("User")(s.User(ctx, "user"))
	add("UserBySubject")(s.UserBySubject(ctx, identity.SubjectRef{Subject: "user"}))
	addPage("ListUsers")(s.ListUsers(ctx, "", whole()))
	add("Membership")(s.Membership(ctx, identity.MembershipRef{Org: "org", User: "user"}))
	add("ListMemberships")(s.ListMemberships(ctx, "user"))
	add("Key")(s.Key(ctx, "key"))
	add("KeyByDigest")(s.KeyByDigest(ctx, identity.DigestOf("key")))
	addPage("ListKeys")(s.ListKeys(ctx, store.KeyFilter{}, whole()))
	add("Token")(s.Token(ctx, "token"))
	add("TokenState")(s.TokenState(ctx, identity.TokenRef{ID: "token"}))
	add("TokenState of a foreign one")(s.TokenState(ctx, identity.TokenRef{Issuer: "https://issuer.example", ID: "foreign"}))
	addPage("ListTokens")(s.ListTokens(ctx, store.TokenFilter{}, whole()))
	add("FindResource by id")(s.FindResource(ctx, identity.ResourceRef{Kind: "project", ID: "resource"}))
	add("FindResource by slug")(s.FindResource(ctx, identity.ResourceRef{Org: "org", Kind: "project", Slug: "slug-of-resource"}))
	addPage("ListResources")(s.ListResources(ctx, store.ResourceFilter{}, whole()))
	add("Account")(s.Account(ctx, "org"))
	addPage("ListLedger")(s.ListLedger(ctx, "org", whole()))
	add("ListSigningKeys")(s.ListSigningKeys(ctx))
	addPage("ListAudit")(s.ListAudit(ctx, store.AuditFilter{}, whole()))
	add("ChangesAfter")(s.ChangesAfter(ctx, 0, 1))
	add("LatestRevision")(s.LatestRevision(ctx))
	_, _, errs["ListReplicas"] = s.ListReplicas(ctx)
	add("Usage")(s.Usage(ctx, "key"))
	errs["Ping"] = s.Ping(ctx)
	return errs
}

// notes writes what is no record.
func notes(ctx context.Context, s store.Store) map[string]error {
	_, shared := s.SharedSecret(ctx, "name", identity.NewSecret("value"))
	_, pruned := s.Prune(ctx, store.Pruning{Changes: day(1), RequestIDs: day(1)})
	return map[string]error{
		"Beat":         s.Beat(ctx, identity.Replica{ID: "replica"}, time.Minute),
		"Leave":        s.Leave(ctx, "replica"),
		"SharedSecret": shared,
		"AddUsage":     s.AddUsage(ctx, []identity.Usage{{Key: "key", Count: 1, LastAt: day(1)}}),
		"Prune":        pruned,
	}
}

func withReadable(t testing.TB, s store.Store) {
	t.Helper()
	withEverything(t, s)
	foreign := identity.TokenRef{Issuer: "https://issuer.example", ID: "foreign"}
	must(s.RevokeToken(t.Context(), operator, foreign, day(1)))(t)
}

func pinged(t *testing.T, s store.Store) {
	succeeds(t, s.Ping(t.Context()))
	withReadable(t, s)
	for name, err := range reads(t.Context(), s) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range notes(t.Context(), s) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func cancelledCalls(t *testing.T, s store.Store) {
	withReadable(t, s)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range reads(gone, s) {
		t.Run(name, func(t *testing.T) { wantUnanswered(t, err) })
	}
	for name, err := range notes(gone, s) {
		t.Run(name, func(t *testing.T) { wantUnanswered(t, err) })
	}
}

func closedStore(t *testing.T, s store.Store) {
	withReadable(t, s)
	succeeds(t, s.Close())
	for name, err := range reads(t.Context(), s) {
		t.Run(name, func(t *testing.T) { wantUnanswered(t, err) })
	}
	for name, err := range notes(t.Context(), s) {
		t.Run(name, func(t *testing.T) { wantUnanswered(t, err) })
	}
	for _, m := range mutations() {
		_, err := m.run(t.Context(), s)
		wantUnanswered(t, err)
	}
}
