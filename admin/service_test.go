package admin_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/admin"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/token"
	"postern/store"
	"postern/store/sqlite"
)

// house is the use cases over the real store, with the parts that a test steers.
type house struct {
	*admin.Service
	store   *sqlite.Store
	now     time.Time
	confirm func(identity.Revision) (admin.Confirmation, error)
	explain func(admin.Request) (admin.Explanation, error)
	fleet   func() ([]identity.Replica, error)
	usage   func(identity.KeyID) (store.KeyUsage, error)
}

// Confirm implements admin.Confirmer.
func (h *house) Confirm(_ context.Context, revision identity.Revision) (admin.Confirmation, error) {
	return h.confirm(revision)
}

// Replicas implements admin.Fleet.
func (h *house) Replicas(context.Context) ([]identity.Replica, time.Time, error) {
	replicas, err := h.fleet()
	return replicas, h.now, err
}

// Usage implements admin.Usages.
func (h *house) Usage(_ context.Context, id identity.KeyID) (store.KeyUsage, error) {
	return h.usage(id)
}

// Explain implements admin.Decider.
func (h *house) Explain(_ context.Context, request admin.Request) (admin.Explanation, error) {
	return h.explain(request)
}

// signer signs as the server does, with a key ring of its own.
type signer struct{ ring *token.KeyRing }

// SignToken implements admin.TokenSigner.
func (s signer) SignToken(_ context.Context, spec admin.TokenSpec) (identity.Secret, error) {
	for i := range spec.Profile.Issuers {
		if rule := &spec.Profile.Issuers[i]; rule.Own {
			return token.Mint(s.ring, rule, "https://postern.test", token.MintRequest{
				Profile: spec.Profile.Name, ID: spec.ID, Subject: spec.Subject, Org: spec.Org, OrgSlug: spec.OrgSlug,
				Grants: spec.Grants, Environment: spec.Environment, IssuedAt: spec.IssuedAt, ExpiresAt: spec.ExpiresAt,
			})
		}
	}
	return identity.Secret{}, errors.New("no issuer of Postern's own")
}

const bounded = `
profile: bounded
extends: authenta
api_keys: { prefix: api_, checksum: true, hash: sha256, max_lifetime: 720h }
---
profile: brief
extends: artos
tokens:
  - issuer: postern
    audience: brief
    algorithms: [EdDSA]
    max_lifetime: 24h
    claims: { organization: org_id, user: sub, permissions: permissions }
    directory: required
`

func open(t *testing.T) *house {
	t.Helper()
	h := &house{now: time.Date(2030, 1, 2, 3, 4, 5, 600_000_000, time.UTC)}
	h.confirm = func(identity.Revision) (admin.Confirmation, error) {
		return admin.Confirmation{InForce: 1, Replicas: 1}, nil
	}
	clock := func() time.Time { return h.now }
	folder := t.TempDir()
	file := filepath.Join(folder, "bounded.yaml")
	if err := os.WriteFile(file, []byte(bounded), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := profile.Load(true, file)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "postern.db")
	if _, err := sqlite.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if h.store, err = sqlite.Open(t.Context(), sqlite.Options{Path: path, Clock: clock}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.store.Close() })
	key, err := token.GenerateSigningKey("", token.EdDSA, rand.Reader, h.now)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := token.NewKeyRing([]identity.SigningKey{key})
	if err != nil {
		t.Fatal(err)
	}
	h.Service, err = admin.NewService(admin.Options{
		Store: h.store, Signer: signer{ring}, Decider: h, Confirmer: h, Fleet: h, Usages: h, Clock: clock,
		Profile: func(name identity.ProfileName) (*profile.Profile, bool) { p := set.ByName(name); return p, p != nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

const by store.Actor = "test"

// settle adds an organization "o1" with the member "u1".
func (h *house) settle(t *testing.T) {
	t.Helper()
	_, err := h.CreateOrganization(t.Context(), by, admin.NewOrganization{ID: "o1", Slug: "one"})
	must(t, err)
	_, err = h.CreateUser(t.Context(), by, admin.NewUser{ID: "u1"})
	must(t, err)
	_, _, err = h.PutMembership(t.Context(), by, identity.MembershipRef{Org: "o1", User: "u1"}, []string{"read", "write"})
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func codeOf(err error) admin.Code {
	if refused, ok := errors.AsType[*admin.Error](err); ok {
		return refused.Code
	}
	return 0
}

func (h *house) createKey(t *testing.T, n admin.NewKey) store.Key {
	t.Helper()
	if n.Profile == "" {
		n.Profile = "authenta"
	}
	n.Org = "o1"
	created, err := h.CreateKey(t.Context(), by, n)
	must(t, err)
	return created.Key
}

func TestRotationWithoutOverlapEndsTheOriginalAtOnce(t *testing.T) {
	h := open(t)
	h.settle(t)
	original := h.createKey(t, admin.NewKey{Name: "backend", Permissions: []string{"READ"}})
	rotated, err := h.RotateKey(t.Context(), by, original.ID, 0, admin.Expiry{})
	must(t, err)
	if !rotated.Original.ExpiresAt.Equal(h.now) {
		t.Errorf("the original ends at %s, want now", rotated.Original.ExpiresAt)
	}
	next := rotated.Successor
	if next.ID == original.ID || next.Digest == original.Digest || next.Name != "backend" || !next.Grants.Has("READ") || next.Org != "o1" {
		t.Errorf("the successor is %+v", next)
	}
	if !rotated.Confirmation.Complete() {
		t.Errorf("the rotation is not confirmed: %+v", rotated.Confirmation)
	}
}

func TestRotationNeverProlongsByItself(t *testing.T) {
	h := open(t)
	h.settle(t)
	original := h.createKey(t, admin.NewKey{Expiry: admin.ExpireIn(time.Hour)})
	rotated, err := h.RotateKey(t.Context(), by, original.ID, 24*time.Hour, admin.Expiry{})
	must(t, err)
	if !rotated.Original.ExpiresAt.Equal(original.ExpiresAt) {
		t.Errorf("the overlap outlives the original: it ends at %s", rotated.Original.ExpiresAt)
	}
	if !rotated.Successor.ExpiresAt.Equal(original.ExpiresAt) {
		t.Errorf("the successor ends at %s, want the original's end", rotated.Successor.ExpiresAt)
	}
	h.now = h.now.Add(2 * time.Hour)
	if _, err := h.RotateKey(t.Context(), by, rotated.Successor.ID, 0, admin.Expiry{}); codeOf(err) != admin.Invalid {
		t.Errorf("rotating an expired key without saying an end: %v", err)
	}
	_, err = h.RotateKey(t.Context(), by, rotated.Successor.ID, 0, admin.ExpireIn(time.Hour))
	must(t, err)
}

func TestKeysThatAreOverCannotBeRotated(t *testing.T) {
	h := open(t)
	h.settle(t)
	revoked, disabled, replaced := h.createKey(t, admin.NewKey{}), h.createKey(t, admin.NewKey{}), h.createKey(t, admin.NewKey{})
	_, _, err := h.RevokeKey(t.Context(), by, revoked.ID)
	must(t, err)
	_, _, err = h.SetKeyDisabled(t.Context(), by, disabled.ID, true)
	must(t, err)
	_, err = h.RotateKey(t.Context(), by, replaced.ID, time.Hour, admin.Expiry{})
	must(t, err)
	for name, id := range map[string]identity.KeyID{"revoked": revoked.ID, "disabled": disabled.ID, "rotated before": replaced.ID} {
		_, err := h.RotateKey(t.Context(), by, id, 0, admin.Expiry{})
		if codeOf(err) != admin.Precondition || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLongestLifeOfTheProfileBoundsWhatIsMade(t *testing.T) {
	h := open(t)
	h.settle(t)
	month, day := h.now.Add(720*time.Hour), h.now.Add(24*time.Hour).Truncate(time.Second)
	if key := h.createKey(t, admin.NewKey{Profile: "bounded"}); !key.ExpiresAt.Equal(month) {
		t.Errorf("a key without an end ends at %s, want %s", key.ExpiresAt, month)
	}
	issued, err := h.IssueToken(t.Context(), by, admin.NewToken{Profile: "brief", User: "u1", Org: "o1"})
	must(t, err)
	if !issued.Token.ExpiresAt.Equal(day) {
		t.Errorf("a token without an end ends at %s, want %s", issued.Token.ExpiresAt, day)
	}
	_, err = h.CreateKey(t.Context(), by, admin.NewKey{Profile: "bounded", Org: "o1", Expiry: admin.ExpireIn(721 * time.Hour)})
	if codeOf(err) != admin.Invalid || !strings.Contains(err.Error(), "ttl: is beyond the longest life") {
		t.Errorf("a key beyond the bound: %v", err)
	}
	_, err = h.IssueToken(t.Context(), by, admin.NewToken{Profile: "brief", User: "u1", Expiry: admin.ExpireAt(h.now.Add(25 * time.Hour))})
	if codeOf(err) != admin.Invalid || !strings.Contains(err.Error(), "expire_time: is beyond the longest life") {
		t.Errorf("a token beyond the bound: %v", err)
	}
}

func TestTokensHaveAnEndAndTheMembershipsPermissions(t *testing.T) {
	h := open(t)
	h.settle(t)
	for _, c := range []struct {
		kind store.TokenKind
		life time.Duration
	}{{store.TokenSession, time.Hour}, {store.TokenPrivate, 90 * 24 * time.Hour}, {"", 90 * 24 * time.Hour}} {
		issued, err := h.IssueToken(t.Context(), by, admin.NewToken{Profile: "artos", Kind: c.kind, User: "u1", Org: "o1"})
		must(t, err)
		if want := h.now.Add(c.life).Truncate(time.Second); !issued.Token.ExpiresAt.Equal(want) {
			t.Errorf("kind %q ends at %s, want %s", c.kind, issued.Token.ExpiresAt, want)
		}
		if got := issued.Token.Grants.String(); got != "read,write" {
			t.Errorf("kind %q has the permissions %q", c.kind, got)
		}
		if strings.Count(issued.Signed.Reveal(), ".") != 2 {
			t.Errorf("kind %q: the signed token is no JWS", c.kind)
		}
	}
	issued, err := h.IssueToken(t.Context(), by, admin.NewToken{Profile: "artos", User: "u1", Org: "o1", Permissions: []string{"admin"}})
	must(t, err)
	if got := issued.Token.Grants.String(); got != "admin" {
		t.Errorf("given permissions became %q", got)
	}
	issued, err = h.IssueToken(t.Context(), by, admin.NewToken{Profile: "artos", User: "u1"})
	must(t, err)
	if issued.Token.Org != "" {
		t.Errorf("a token without an organization names %q", issued.Token.Org)
	}
}

func TestTokenIsIssuedToMembersOfPosternsOwnOnly(t *testing.T) {
	h := open(t)
	h.settle(t)
	_, err := h.CreateUser(t.Context(), by, admin.NewUser{ID: "stranger"})
	must(t, err)
	_, err = h.CreateUser(t.Context(), by, admin.NewUser{ID: "foreign", Issuer: "https://clerk.example.com", Subject: "user_1"})
	must(t, err)
	for name, c := range map[string]struct {
		token admin.NewToken
		code  admin.Code
		says  string
	}{
		"no such user":            {admin.NewToken{Profile: "artos", User: "nobody"}, admin.NotFound, "nobody"},
		"no such organization":    {admin.NewToken{Profile: "artos", User: "u1", Org: "none"}, admin.NotFound, "none"},
		"not a member":            {admin.NewToken{Profile: "artos", User: "stranger", Org: "o1"}, admin.Invalid, "not a member"},
		"another issuer's user":   {admin.NewToken{Profile: "artos", User: "foreign"}, admin.Invalid, "come from https://clerk.example.com"},
		"a profile without":       {admin.NewToken{Profile: "authenta", User: "u1"}, admin.Invalid, "Postern's own issuer"},
		"a kind of nobody's":      {admin.NewToken{Profile: "artos", User: "u1", Kind: "eternal"}, admin.Invalid, "kind: is unknown"},
		"an end that has passed":  {admin.NewToken{Profile: "artos", User: "u1", Expiry: admin.ExpireAt(h.now)}, admin.Invalid, "not in the future"},
		"a life without duration": {admin.NewToken{Profile: "artos", User: "u1", Expiry: admin.ExpireIn(0)}, admin.Invalid, "ttl"},
		"a life of a moment":      {admin.NewToken{Profile: "artos", User: "u1", Expiry: admin.ExpireIn(time.Millisecond)}, admin.Invalid, "shorter than a second"},
	} {
		if _, err := h.IssueToken(t.Context(), by, c.token); codeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want code %d with %q", name, err, c.code, c.says)
		}
	}
}

func TestRotatedTokenIsRevokedAndItsSuccessorEndsNoLater(t *testing.T) {
	h := open(t)
	h.settle(t)
	issued, err := h.IssueToken(t.Context(), by, admin.NewToken{Profile: "artos", User: "u1", Org: "o1", Name: "backend"})
	must(t, err)
	h.now = h.now.Add(time.Hour)
	rotated, err := h.RotateToken(t.Context(), by, issued.Token.ID, admin.Expiry{})
	must(t, err)
	if rotated.Original.RevokedAt.IsZero() || !rotated.Confirmation.Complete() {
		t.Errorf("the original is not revoked: %+v", rotated)
	}
	if s := rotated.Successor; s.ID == issued.Token.ID || s.Name != "backend" || s.Grants.String() != "read,write" || !s.ExpiresAt.Equal(issued.Token.ExpiresAt) {
		t.Errorf("the successor is %+v", s)
	}
	if _, err := h.RotateToken(t.Context(), by, issued.Token.ID, admin.Expiry{}); codeOf(err) != admin.Precondition {
		t.Errorf("rotating it again: %v", err)
	}
}

func TestStoreThatCannotBeAskedIsUnavailableAndTellsNoMore(t *testing.T) {
	h := open(t)
	h.settle(t)
	must(t, h.store.Close())
	_, err := h.Key(t.Context(), "k")
	if codeOf(err) != admin.Unavailable || err.Error() != "the store could not be asked; try again" || errors.Unwrap(err) == nil {
		t.Errorf("a key of a closed store: %v, caused by %v", err, errors.Unwrap(err))
	}
}

func TestEngineThatCannotBeAskedIsUnavailable(t *testing.T) {
	h := open(t)
	h.explain = func(admin.Request) (admin.Explanation, error) {
		return admin.Explanation{}, errors.New("private cause")
	}
	_, err := h.Check(t.Context(), admin.Request{Profile: "artos", Path: "/"})
	if codeOf(err) != admin.Unavailable || strings.Contains(err.Error(), "private") {
		t.Errorf("%v", err)
	}
}
