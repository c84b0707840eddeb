package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ownName     = identity.Issuer("https://postern.test")
	foreignName = identity.Issuer("https://login.test")
	foreignKid  = "foreign-1"
	leeway      = 30 * time.Second
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var (
	rsaKey      = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	otherRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
)

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

func publicJWK(key any, kid, use string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: kid, Use: use}
}

func document(t testing.TB, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// heldKeys answer from a key set at hand, or with an outage.
type heldKeys struct {
	byID   map[string]any
	outage error
}

func (k heldKeys) Key(_ context.Context, keyID, _ string) (any, error) {
	if k.outage != nil {
		return nil, k.outage
	}
	if key, ok := k.byID[keyID]; ok {
		return key, nil
	}
	return nil, token.ErrUnknownKey
}

var (
	ownRule = profile.Issuer{
		Own: true, Audiences: []string{"artos"}, Algorithms: []string{token.EdDSA}, Leeway: leeway,
		Claims: profile.Claims{Organization: "org_id", OrganizationSlug: "org_slug", Permissions: "permissions", Environment: "environment"},
	}
	foreignRule = profile.Issuer{
		Name: foreignName, Audiences: []string{"arthur-api"}, AuthorizedParties: []string{"web", "cli"}, Algorithms: []string{token.RS256}, Leeway: leeway,
		Claims:    profile.Claims{Organization: "org_id", Permissions: "realm_access.roles"},
		Directory: profile.DirectoryTrusted,
	}
)

func signingKey(t testing.TB, name identity.ProfileName, algorithm string, at time.Time) identity.SigningKey {
	t.Helper()
	key, err := token.GenerateSigningKey(name, algorithm, rand.Reader, at)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRing(t testing.TB, keys ...identity.SigningKey) *token.KeyRing {
	t.Helper()
	ring, err := token.NewKeyRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newVerifier(t testing.TB, ring *token.KeyRing, foreign token.Keys, c *clock) *token.Verifier {
	t.Helper()
	p := &profile.Profile{Name: "artos", Issuers: []profile.Issuer{ownRule, foreignRule}}
	v, err := token.NewVerifier(p, ownName, ring, map[identity.Issuer]token.Keys{foreignName: foreign}, token.Options{Clock: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verify(t testing.TB, v *token.Verifier, raw string) (*token.Claims, reason.Reason, error) {
	t.Helper()
	claims, why, err := v.Verify(t.Context(), raw, identity.DigestOf(raw))
	if (why == reason.Unset) != (err == nil) || (why == reason.Unset) != (claims != nil) {
		t.Fatalf("answers %v, %v and %v together", claims, why, err)
	}
	return claims, why, err
}

// foreignClaims are those of a good foreign token, with changes; nil takes one away.
func foreignClaims(changes jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{
		"iss": string(foreignName), "aud": []string{"account", "arthur-api"}, "azp": "cli", "sub": "user-1", "jti": "t-1",
		"iat": epoch.Unix(), "exp": epoch.Add(time.Minute).Unix(), "org_id": "org-1",
		"realm_access": map[string]any{"roles": []string{"org-admin", "data-plane"}},
	}
	maps.Copy(claims, changes)
	for name, value := range claims {
		if value == nil {
			delete(claims, name)
		}
	}
	return claims
}

func sign(t testing.TB, method jwt.SigningMethod, key any, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	unsigned := jwt.NewWithClaims(method, claims)
	maps.Copy(unsigned.Header, header)
	raw, err := unsigned.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func signForeign(t testing.TB, changes jwt.MapClaims) string {
	t.Helper()
	return sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": foreignKid}, foreignClaims(changes))
}

func foreignKeys() heldKeys {
	return heldKeys{byID: map[string]any{foreignKid: &rsaKey().PublicKey}}
}

func mintRequest() token.MintRequest {
	return token.MintRequest{
		Profile: "artos", ID: "t-own", Subject: "user-1", Org: "org-1", OrgSlug: "my-org",
		Grants: identity.NewGrants("documents:read", "documents:write"), Environment: "production",
		IssuedAt: epoch, ExpiresAt: epoch.Add(time.Hour),
	}
}

func mint(t testing.TB, ring *token.KeyRing, rule *profile.Issuer, request token.MintRequest) string {
	t.Helper()
	raw, err := token.Mint(ring, rule, ownName, request)
	if err != nil {
		t.Fatal(err)
	}
	return raw.Reveal()
}
