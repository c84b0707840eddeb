// Package storetest proves that an engine keeps the promises of package store:
// one test for each of them, through the interface only. An engine calls Run;
// the tests know nothing of how it keeps its records.
package storetest

import (
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

// test is one guarantee and how it is checked, on an empty store.
type test struct {
	guarantee string
	check     func(t *testing.T, s store.Store)
}

// Run checks every guarantee. open returns an empty store of its own each time,
// and closes it when the test it was opened for ends.
func Run(t *testing.T, open func(testing.TB) store.Store) {
	roles := []struct {
		name  string
		tests []test
	}{
		{"Organizations", organizationTests()},
		{"Users", userTests()},
		{"Memberships", membershipTests()},
		{"Keys", keyTests()},
		{"KeyLimit", keyLimitTests()},
		{"Rotation", rotationTests()},
		{"Tokens", tokenTests()},
		{"TokensOfAUser", userTokenTests()},
		{"Resources", resourceTests()},
		{"Credits", creditTests()},
		{"Release", releaseTests()},
		{"SigningKeys", signingKeyTests()},
		{"Mutations", mutationTests()},
		{"Audit", auditTests()},
		{"Changes", changeTests()},
		{"Wake", wakeTests()},
		{"Replicas", replicaTests()},
		{"WakeReplicas", replicaWakeTests()},
		{"Secrets", secretTests()},
		{"Usages", usageTests()},
		{"PruneChanges", pruneChangesTests()},
		{"PruneRequestIDs", pruneRequestTests()},
		{"Pages", pageTests()},
		{"Times", timeTests()},
		{"Text", textTests()},
		{"Failures", failureTests()},
	}
	for _, role := range roles {
		t.Run(role.name, func(t *testing.T) {
			for _, test := range role.tests {
				t.Run(test.guarantee, func(t *testing.T) { test.check(t, open(t)) })
			}
		})
	}
}

// patience bounds what should happen at once, on a machine with other work.
const patience = 10 * time.Second

const operator = store.Actor("operator")

// day is a moment that every engine keeps exactly: whole milliseconds, UTC.
func day(n int) time.Time {
	return time.Date(2030, time.January, n, 12, 30, 15, 250_000_000, time.UTC)
}

// must returns what a call returned, and ends the test if it failed:
// must(s.Key(ctx, id))(t).
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return value
	}
}

// fails checks that a call failed with the sentinel: fails(s.Key(ctx, id))(t, store.ErrNotFound).
func fails[T any](_ T, err error) func(testing.TB, error) {
	return func(t testing.TB, want error) {
		t.Helper()
		wantError(t, err, want)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func succeeds(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// sentinels are the errors that mean something about a record.
func sentinels() []error {
	return []error{
		store.ErrNotFound, store.ErrConflict, store.ErrReference,
		store.ErrLimit, store.ErrInsufficient, store.ErrInvalid, store.ErrPruned,
	}
}

// wantUnanswered checks that the call failed without claiming to know anything.
func wantUnanswered(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		t.Error("the call succeeded, want an error")
	}
	for _, sentinel := range sentinels() {
		if errors.Is(err, sentinel) {
			t.Errorf("error is %v, want none of the sentinels", err)
		}
	}
}

// concurrently runs the function n times at once and returns the errors in order.
func concurrently(n int, run func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// tally counts the successes, and the failures with the sentinel; any other
// error fails the test.
func tally(t testing.TB, errs []error, sentinel error) (succeeded, failed int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			succeeded++
		case errors.Is(err, sentinel):
			failed++
		default:
			t.Errorf("error is %v, want none or %v", err, sentinel)
		}
	}
	return succeeded, failed
}

// lookalikes are pairwise different names that a careless comparison takes for
// one: case, accents composed and not, trailing space, width, the German sharp s.
func lookalikes() []string {
	return []string{
		"strasse-e", "Strasse-e", "STRASSE-E", "straße-e", "strasse-\u00e9", "strasse-e\u0301",
		"strasse-e ", " strasse-e", "strasse\u2010e", "\uff53trasse-e", "strasse_e", "strasse%e",
	}
}

// records of the kinds that others refer to.

func organization(id identity.OrgID) store.Organization {
	return store.Organization{
		Organization: identity.Organization{ID: id, Slug: identity.OrgSlug("slug-of-" + id), Plan: "free"},
		Name:         "Name of " + string(id), CreatedAt: day(1),
	}
}

func user(id identity.UserID) store.User {
	return store.User{
		User:  identity.User{ID: id, Subject: string(id)},
		Email: string(id) + "@example.com", Name: "Name of " + string(id), CreatedAt: day(1),
	}
}

// key is of organization "org"; its digest is that of its id.
func key(id identity.KeyID) store.Key {
	return store.Key{
		Key: identity.Key{
			ID: id, Org: "org", Profile: "profile", Environment: "production",
			Grants: identity.NewGrants("READ", "WRITE"), Digest: identity.DigestOf(string(id)),
		},
		Name: "Name of " + string(id), Description: "for a test", Hint: "api_…" + string(id),
		Hash: identity.NewSecret("hash-of-" + string(id)), CreatedAt: day(1),
	}
}

// token is of user "user" in organization "org".
func token(id identity.TokenID) store.Token {
	return store.Token{
		ID: id, Profile: "profile", Kind: store.TokenPrivate, Name: "Name of " + string(id),
		Org: "org", User: "user", Grants: identity.NewGrants("READ"), IssuedAt: day(1), ExpiresAt: day(20),
	}
}

// resource is a project of organization "org".
func resource(id identity.ResourceID) store.Resource {
	return store.Resource{
		Resource:  identity.Resource{ID: id, Kind: "project", Slug: "slug-of-" + string(id), Org: "org"},
		CreatedAt: day(1),
	}
}

func addOrganization(t testing.TB, s store.Store, id identity.OrgID) store.Organization {
	t.Helper()
	return must(s.CreateOrganization(t.Context(), operator, organization(id)))(t)
}

func addUser(t testing.TB, s store.Store, id identity.UserID) store.User {
	t.Helper()
	return must(s.CreateUser(t.Context(), operator, user(id)))(t)
}

func addKey(t testing.TB, s store.Store, k store.Key) store.Key {
	t.Helper()
	return must(s.CreateKey(t.Context(), operator, k, store.KeyLimit{}))(t)
}

func addToken(t testing.TB, s store.Store, v store.Token) store.Token {
	t.Helper()
	return must(s.CreateToken(t.Context(), operator, v))(t)
}

func addResource(t testing.TB, s store.Store, r store.Resource) store.Resource {
	t.Helper()
	return must(s.CreateResource(t.Context(), operator, r))(t)
}

// whole is the page that holds every record of a small list.
func whole() store.Page { return store.Page{Limit: store.MaxPageLimit} }

// feed reads all changes after the revision.
func feed(t testing.TB, s store.Store, after identity.Revision) []store.Change {
	t.Helper()
	return must(s.ChangesAfter(t.Context(), after, 10_000))(t)
}

// events reads all audit events, page by page.
func events(t testing.TB, s store.Store) []store.AuditEvent {
	t.Helper()
	var all []store.AuditEvent
	for page := whole(); ; {
		part, next, err := s.ListAudit(t.Context(), store.AuditFilter{}, page)
		succeeds(t, err)
		all = append(all, part...)
		if next == "" {
			return all
		}
		page.After = next
	}
}
