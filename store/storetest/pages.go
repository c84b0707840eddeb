package storetest

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func pageTests() []test {
	var tests []test
	for _, l := range lists() {
		tests = append(tests,
			test{l.name + " are paged in order, each once, whatever the page's size", l.isComplete},
			test{l.name + " refuse a page out of bounds and a cursor that is not theirs", l.refusesPages},
			test{l.name + " stay complete while others are added", l.toleratesInserts},
		)
	}
	return append(tests, test{"a page goes on after its last record was deleted", pageAfterDeletion})
}

// list is one of the lists, its records told by a name.
type list struct {
	name string
	// prepare adds what the records refer to.
	prepare func(t testing.TB, s store.Store)
	// add adds record n, created at that time.
	add func(ctx context.Context, s store.Store, n int, at time.Time) error
	// read returns the names of a page's records.
	read func(ctx context.Context, s store.Store, page store.Page) ([]string, string, error)
	// appends: the order is that of adding, whatever the time.
	appends bool
}

func names[T any](records []T, next string, err error, name func(T) string) ([]string, string, error) {
	var all []string
	for _, r := range records {
		all = append(all, name(r))
	}
	return all, next, err
}

func lists() []list {
	id := func(n int) string { return fmt.Sprintf("r-%03d", n) }
	none := func(testing.TB, store.Store) {}
	return []list{
		{"organizations", none,
			func(ctx context.Context, s store.Store, n int, at time.Time) error {
				v := organization(identity.OrgID(id(n)))
				v.CreatedAt = at
				_, err := s.CreateOrganization(ctx, operator, v)
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListOrganizations(ctx, p)
				return names(v, next, err, func(v store.Organization) string { return string(v.ID) })
			}, false},
		{"users", none,
			func(ctx context.Context, s store.Store, n int, at time.Time) error {
				v := user(identity.UserID(id(n)))
				v.CreatedAt = at
				_, err := s.CreateUser(ctx, operator, v)
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListUsers(ctx, "", p)
				return names(v, next, err, func(v store.User) string { return string(v.ID) })
			}, false},
		{"keys", func(t testing.TB, s store.Store) { addOrganization(t, s, "org") },
			func(ctx context.Context, s store.Store, n int, at time.Time) error {
				v := key(identity.KeyID(id(n)))
				v.CreatedAt = at
				_, err := s.CreateKey(ctx, operator, v, store.KeyLimit{})
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListKeys(ctx, store.KeyFilter{Org: "org", ActiveOnly: true, Now: day(1)}, p)
				return names(v, next, err, func(v store.Key) string { return string(v.ID) })
			}, false},
		{"tokens", withTokenOwners,
			func(ctx context.Context, s store.Store, n int, at time.Time) error {
				v := token(identity.TokenID(id(n)))
				v.IssuedAt = at
				_, err := s.CreateToken(ctx, operator, v)
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListTokens(ctx, store.TokenFilter{User: "user"}, p)
				return names(v, next, err, func(v store.Token) string { return string(v.ID) })
			}, false},
		{"resources", func(t testing.TB, s store.Store) { addOrganization(t, s, "org") },
			func(ctx context.Context, s store.Store, n int, at time.Time) error {
				v := resource(identity.ResourceID(id(n)))
				v.CreatedAt = at
				_, err := s.CreateResource(ctx, operator, v)
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListResources(ctx, store.ResourceFilter{Org: "org"}, p)
				return names(v, next, err, func(v store.Resource) string { return string(v.ID) })
			}, false},
		{"ledger entries", func(t testing.TB, s store.Store) { withBalance(t, s, 0) },
			func(ctx context.Context, s store.Store, n int, at time.Time) error {
				_, err := s.TopUp(ctx, operator, "org", 1, id(n), at)
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListLedger(ctx, "org", p)
				return names(v, next, err, func(v store.LedgerEntry) string { return v.Note })
			}, true},
		{"audit events", none,
			func(ctx context.Context, s store.Store, n int, _ time.Time) error {
				_, err := s.CreateUser(ctx, operator, user(identity.UserID(id(n))))
				return err
			},
			func(ctx context.Context, s store.Store, p store.Page) ([]string, string, error) {
				v, next, err := s.ListAudit(ctx, store.AuditFilter{Action: store.ActionUserCreate}, p)
				return names(v, next, err, func(v store.AuditEvent) string { return v.Subject })
			}, true},
	}
}

// walk reads the list to its end.
func (l list) walk(t testing.TB, s store.Store, limit int, between func()) []string {
	t.Helper()
	var all []string
	for page := (store.Page{Limit: limit}); ; {
		part, next, err := l.read(t.Context(), s, page)
		succeeds(t, err)
		if len(part) > limit || (next != "" && len(part) != limit) {
			t.Fatalf("a page of %d records with cursor %q, want %d", len(part), next, limit)
		}
		all = append(all, part...)
		if next == "" {
			return all
		}
		page.After = next
		between()
	}
}

func (l list) isComplete(t *testing.T, s store.Store) {
	l.prepare(t, s)
	equal(t, "an empty list", len(l.walk(t, s, 1, func() {})), 0)
	const count = 12
	var want []string
	for n := range count {
		// Three at a time are created at once; the later ones are the older.
		succeeds(t, l.add(t.Context(), s, (n*5)%count, day(9-((n*5)%count)/3)))
		want = append(want, fmt.Sprintf("r-%03d", (n*5)%count))
	}
	if !l.appends {
		slices.SortFunc(want, func(a, b string) int {
			var i, j int
			_, _ = fmt.Sscanf(a+" "+b, "r-%d r-%d", &i, &j)
			if i/3 != j/3 {
				return j/3 - i/3
			}
			return i - j
		})
	}
	for _, limit := range []int{1, 2, 5, count - 1, count, count + 1, store.MaxPageLimit} {
		equal(t, fmt.Sprintf("pages of %d", limit), l.walk(t, s, limit, func() {}), want)
	}
}

func (l list) refusesPages(t *testing.T, s store.Store) {
	l.prepare(t, s)
	for n := range 3 {
		succeeds(t, l.add(t.Context(), s, n, day(1)))
	}
	refused := func(page store.Page) {
		t.Helper()
		records, next, err := l.read(t.Context(), s, page)
		wantError(t, err, store.ErrInvalid)
		if len(records) > 0 || next != "" {
			t.Errorf("page %+v gave %d records and cursor %q with its error", page, len(records), next)
		}
	}
	for _, limit := range []int{-1, 0, store.MaxPageLimit + 1} {
		refused(store.Page{Limit: limit})
	}
	_, cursor, err := l.read(t.Context(), s, store.Page{Limit: 1})
	succeeds(t, err)
	for _, bad := range []string{"x", cursor + "A", cursor[1:], cursor + "=", " " + cursor, "%", base64.RawURLEncoding.EncodeToString([]byte("r-000"))} {
		refused(store.Page{After: bad, Limit: 1})
	}
	signed := must(s.CreateOrganization(t.Context(), operator, organization("another")))(t)
	must(s.CreateOrganization(t.Context(), operator, organization("one-more")))(t)
	if l.name != "organizations" {
		_, foreign, err := s.ListOrganizations(t.Context(), store.Page{Limit: 1})
		succeeds(t, err)
		if foreign == "" {
			t.Fatalf("no cursor after the first of %s and another", signed.ID)
		}
		refused(store.Page{After: foreign, Limit: 1})
	}
}

func (l list) toleratesInserts(t *testing.T, s store.Store) {
	l.prepare(t, s)
	var before []string
	for n := range 10 {
		succeeds(t, l.add(t.Context(), s, n, day(5)))
		before = append(before, fmt.Sprintf("r-%03d", n))
	}
	added := 10
	seen := l.walk(t, s, 2, func() {
		for _, at := range []time.Time{day(2), day(5), day(9)} {
			if added < 25 {
				succeeds(t, l.add(t.Context(), s, added, at))
				added++
			}
		}
	})
	unique := slices.Clone(seen)
	slices.Sort(unique)
	equal(t, "records seen once", len(slices.Compact(unique)), len(seen))
	for _, name := range before {
		if !slices.Contains(seen, name) {
			t.Errorf("%s was there before and was not seen in %v", name, seen)
		}
	}
}

func pageAfterDeletion(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	for _, id := range []identity.ResourceID{"a", "b", "c"} {
		addResource(t, s, resource(id))
	}
	_, next, err := s.ListResources(ctx, store.ResourceFilter{}, store.Page{Limit: 2})
	succeeds(t, err)
	succeeds(t, s.DeleteResource(ctx, operator, "project", "b"))
	rest, next, err := s.ListResources(ctx, store.ResourceFilter{}, store.Page{After: next, Limit: 2})
	succeeds(t, err)
	equal(t, "cursor at the end", next, "")
	equal(t, "rest", []identity.ResourceID{rest[0].ID}, []identity.ResourceID{"c"})
}
