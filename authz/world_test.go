package authz_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/authz"
	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/meter"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

// The profiles of these tests; the presets have their own through a real Envoy.
const profiles = `
profile: shop
hosts: [shop.example]
environment: production
credentials:
  - bearer: [admin_key, api_key, token]
  - cookie: session
    as: token
api_keys: { prefix: shop_, checksum: true, hash: sha256 }
tokens:
  - issuer: https://id.example
    audience: shop
    algorithms: [RS256]
    jwks_file: unused.json
    claims: { organization: org }
    directory: required
admin_key: { env: SHOP_ADMIN_KEY, permissions: [ADMIN] }
permissions: { GET: READ, HEAD: READ, POST: WRITE, PUT: WRITE, PATCH: WRITE, DELETE: DELETE, OPTIONS: READ }
routes:
  - { route: GET /status, public: true }
  - { route: POST /jobs, cost: 3 }
  - { route: GET /free, permission: READ }
  - { route: "/orgs/{org}/{rest...}", organization: { from: path org } }
  - { route: GET /projects, resource: { kind: project, slug: query project, inject: x-project-id } }
  - { route: "GET /projects/{project}", resource: { kind: project, id: path project } }
  - { route: GET /admin, permission: ADMIN, organization: { from: none } }
  - { route: GET /socket, upgrade: true }
---
profile: slugs
hosts: [slugs.example]
credentials: [ { header: x-api-key, as: api_key }, { bearer: token } ]
api_keys: { prefix: sl_, checksum: true, hash: sha256 }
tokens:
  - issuer: https://id.example
    authorized_parties: [app]
    algorithms: [RS256]
    jwks_file: unused.json
    directory: required
organization: { from: header x-org-slug }
---
profile: patient
hosts: [patient.example]
on_store_unavailable: { serve_stale_for: 5m }
credentials: [ { bearer: api_key } ]
api_keys: { prefix: pa_, checksum: true, hash: sha256 }
---
profile: locked
hosts: [locked.example]
on_store_unavailable: deny
require_https: true
credentials: [ { bearer: api_key } ]
api_keys: { prefix: lo_, checksum: true, hash: sha256 }
routes:
  - { route: GET /status, public: true }
`

// memory is a Source with everything cached, or everything behind it.
type memory[K comparable, V any] struct {
	records map[K]V
	cold    bool  // nothing is cached
	broken  error // Load fails
	loads   int
	age     time.Duration // of what is known
}

func (m *memory[K, V]) Cached(key K, _ time.Time) (V, authz.Presence) {
	if m.cold {
		var none V
		return none, authz.Unknown
	}
	return m.find(key)
}

func (m *memory[K, V]) Load(_ context.Context, key K) (V, authz.Presence, error) {
	m.loads++
	if m.broken != nil {
		var none V
		return none, authz.Unavailable, m.broken
	}
	v, p := m.find(key)
	return v, p, nil
}

func (m *memory[K, V]) Stale(key K, _ time.Time, age time.Duration) (V, authz.Presence) {
	if m.age >= age {
		var none V
		return none, authz.Unknown
	}
	return m.find(key)
}

func (m *memory[K, V]) find(key K) (V, authz.Presence) {
	if v, ok := m.records[key]; ok {
		return v, authz.Found
	}
	var none V
	return none, authz.Absent
}

type memoryKeys struct {
	*memory[identity.Digest, *identity.Key]
}

func (m memoryKeys) Load(ctx context.Context, _ *credential.Format, _ string, d identity.Digest) (identity.Key, authz.Presence, error) {
	key, presence, err := m.memory.Load(ctx, d)
	return value(key, presence), presence, err
}

func (m memoryKeys) Cached(d identity.Digest, now time.Time) (identity.Key, authz.Presence) {
	key, presence := m.memory.Cached(d, now)
	return value(key, presence), presence
}

func (m memoryKeys) Stale(d identity.Digest, now time.Time, age time.Duration) (identity.Key, authz.Presence) {
	key, presence := m.memory.Stale(d, now, age)
	return value(key, presence), presence
}

// value is a found key's; a nil one panics.
func value(key *identity.Key, presence authz.Presence) identity.Key {
	if presence != authz.Found {
		return identity.Key{}
	}
	return *key
}

// verified are tokens that were verified before, by their text.
type verified struct {
	claims map[identity.Digest]*token.Claims
	cold   bool
	reason reason.Reason
	broken error
}

func (v *verified) Cached(d identity.Digest, now time.Time) (*token.Claims, reason.Reason, bool) {
	c, ok := v.claims[d]
	return c, reason.Unset, ok && !v.cold && now.Before(c.ExpiresAt)
}

func (v *verified) Seen(d identity.Digest) bool {
	_, ok := v.claims[d]
	return ok
}

func (v *verified) Verify(_ context.Context, _ string, d identity.Digest) (*token.Claims, reason.Reason, error) {
	if v.broken != nil {
		return nil, reason.Unavailable, v.broken
	}
	if c, ok := v.claims[d]; ok {
		return c, v.reason, nil
	}
	return nil, reason.InvalidCredential, errors.New("unknown token")
}

type account struct {
	balance  identity.Credits
	charged  []meter.Reservation
	released []meter.Reservation
	during   func()
	broken   error
}

func (a *account) Reserve(_ context.Context, r meter.Reservation) (identity.Credits, bool, error) {
	if a.during != nil {
		a.during()
	}
	if a.broken != nil {
		return 0, false, a.broken
	}
	if a.balance < r.Cost {
		return a.balance, false, meter.ErrInsufficient
	}
	a.balance -= r.Cost
	a.charged = append(a.charged, r)
	return a.balance, true, nil
}

func (a *account) Release(_ context.Context, r meter.Reservation) error {
	a.balance += r.Cost
	a.released = append(a.released, r)
	return nil
}

func (a *account) Affords(_ context.Context, _ identity.OrgID, cost identity.Credits) (bool, error) {
	return a.balance >= cost, a.broken
}

// world is an engine with one organization "o1" (slug "one"), a disabled one
// "off", a user and keys of each state.
type world struct {
	*authz.Engine
	now         time.Time
	keys        *memory[identity.Digest, *identity.Key]
	orgs        *memory[identity.OrgID, *identity.Organization]
	slugs       *memory[identity.OrgSlug, *identity.Organization]
	users       *memory[identity.UserID, *identity.User]
	subjects    *memory[identity.SubjectRef, *identity.User]
	memberships *memory[identity.MembershipRef, *identity.Membership]
	states      *memory[identity.TokenRef, *identity.Token]
	resources   *memory[identity.ResourceRef, *identity.Resource]
	tokens      *verified
	account     *account
	profiles    *profile.Set
	panics      int
	clock       func() time.Time
}

const adminKey = "the-administrator-of-the-shop"

func newWorld(t *testing.T) *world {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profiles.yaml")
	if err := os.WriteFile(file, []byte(profiles), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := profile.Load(false, file)
	if err != nil {
		t.Fatal(err)
	}
	one := &identity.Organization{ID: "o1", Slug: "one", Plan: "pro"}
	off := &identity.Organization{ID: "off", Slug: "off", Disabled: true}
	two := &identity.Organization{ID: "o2", Slug: "two"}
	ada := &identity.User{ID: "ada", Issuer: "https://id.example", Subject: "sub-ada"}
	gone := &identity.User{ID: "gone", Issuer: "https://id.example", Subject: "sub-gone", Disabled: true}
	w := &world{
		now:      time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		profiles: set,
		keys:     &memory[identity.Digest, *identity.Key]{records: map[identity.Digest]*identity.Key{}},
		orgs:     &memory[identity.OrgID, *identity.Organization]{records: map[identity.OrgID]*identity.Organization{"o1": one, "off": off, "o2": two}},
		slugs:    &memory[identity.OrgSlug, *identity.Organization]{records: map[identity.OrgSlug]*identity.Organization{"one": one, "off": off, "two": two}},
		users:    &memory[identity.UserID, *identity.User]{records: map[identity.UserID]*identity.User{"ada": ada, "gone": gone}},
		subjects: &memory[identity.SubjectRef, *identity.User]{records: map[identity.SubjectRef]*identity.User{
			{Issuer: "https://id.example", Subject: "sub-ada"}: ada, {Issuer: "https://id.example", Subject: "sub-gone"}: gone,
		}},
		memberships: &memory[identity.MembershipRef, *identity.Membership]{records: map[identity.MembershipRef]*identity.Membership{
			{Org: "o1", User: "ada"}:  {Org: "o1", User: "ada", Grants: identity.NewGrants("READ")},
			{Org: "o1", User: "gone"}: {Org: "o1", User: "gone"},
		}},
		states: &memory[identity.TokenRef, *identity.Token]{records: map[identity.TokenRef]*identity.Token{
			{Issuer: "https://id.example", ID: "withdrawn"}: {RevokedAt: time.Unix(1, 0)},
		}},
		resources: &memory[identity.ResourceRef, *identity.Resource]{records: map[identity.ResourceRef]*identity.Resource{
			{Org: "o1", Kind: "project", Slug: "mine"}:   {ID: "p1", Org: "o1"},
			{Org: "o1", Kind: "project", Slug: "theirs"}: {ID: "p2", Org: "o2"},
			{Org: "o1", Kind: "project", ID: "p1"}:       {ID: "p1", Org: "o1"},
		}},
		tokens:  &verified{claims: map[identity.Digest]*token.Claims{}},
		account: &account{balance: 100},
	}
	w.clock = func() time.Time { return w.now }
	w.Engine, err = authz.NewEngine(&authz.Snapshot{
		Profiles:  set,
		Tokens:    map[identity.ProfileName]authz.Tokens{"shop": w.tokens, "slugs": w.tokens},
		AdminKeys: map[identity.ProfileName]identity.Digest{"shop": identity.DigestOf(adminKey)},
	}, authz.Ports{
		Keys: memoryKeys{w.keys}, Organizations: w.orgs, Slugs: w.slugs, Users: w.users, Subjects: w.subjects,
		Memberships: w.memberships, TokenStates: w.states, Resources: w.resources, Ledger: w.account,
	}, authz.Options{Clock: func() time.Time { return w.clock() }, Panicked: func(any, []byte) { w.panics++ }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// key registers a fresh key of the profile and returns its raw text.
func (w *world) key(t *testing.T, name identity.ProfileName, change func(*identity.Key)) string {
	t.Helper()
	minted, err := w.profiles.ByName(name).Keys.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := &identity.Key{
		ID: minted.ID, Org: "o1", Profile: name, Environment: "production",
		Grants: identity.NewGrants("READ", "WRITE", "DELETE"), Digest: minted.Digest,
	}
	if change != nil {
		change(k)
	}
	w.keys.records[minted.Digest] = k
	return minted.Raw.Reveal()
}

// token registers a token that verifies to the claims and returns its text.
func (w *world) token(name identity.ProfileName, id string, change func(*token.Claims)) string {
	rule := w.profiles.ByName(name).Issuers[0]
	c := &token.Claims{
		Issuer: "https://id.example", Rule: &rule, ID: identity.TokenID(id), Subject: "sub-ada", Org: "o1",
		IssuedAt: w.now, ExpiresAt: w.now.Add(time.Hour),
	}
	if change != nil {
		change(c)
	}
	raw := "eyJ." + rand.Text() + ".x"
	w.tokens.claims[identity.DigestOf(raw)] = c
	return raw
}

func request(host, method, path string, headers ...string) authz.Input {
	in := authz.Input{Host: host, Method: method, Path: path, ID: "r1"}
	for i := 0; i+1 < len(headers); i += 2 {
		in.Headers = append(in.Headers, authz.Field{Name: headers[i], Value: headers[i+1]})
	}
	return in
}

// both asks Decide and, where it wants I/O, Resolve; and asserts that Resolve
// alone gives the same answer.
func (w *world) both(t *testing.T, in authz.Input) authz.Decision {
	t.Helper()
	var d authz.Decision
	if w.Decide(&in, &d) == authz.NeedIO {
		d = authz.Decision{}
		w.Resolve(t.Context(), in.Own(), &d)
	}
	return d
}

type profileHeader = profile.Header
