package token_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

func TestAForeignTokenIsReadUnderItsRule(t *testing.T) {
	v := newVerifier(t, newRing(t), foreignKeys(), newClock())
	claims, why, err := verify(t, v, signForeign(t, nil))
	if why != reason.Unset {
		t.Fatal(why, err)
	}
	if claims.Issuer != foreignName || claims.Rule.Name != foreignName || claims.ID != "t-1" || claims.Subject != "user-1" || claims.Org != "org-1" {
		t.Fatalf("got %+v", claims)
	}
	if claims.Grants.String() != "org-admin,data-plane" {
		t.Fatalf("grants are %s", claims.Grants)
	}
	if !claims.IssuedAt.Equal(epoch) || !claims.ExpiresAt.Equal(epoch.Add(time.Minute)) {
		t.Fatalf("issued %v, expires %v", claims.IssuedAt, claims.ExpiresAt)
	}
}

func TestTimesAreAllowedTheLeewayAndNoMore(t *testing.T) {
	tests := []struct {
		name    string
		changes jwt.MapClaims
	}{
		{"expired within the leeway", jwt.MapClaims{"exp": epoch.Add(-leeway + time.Second).Unix()}},
		{"not before a time within the leeway", jwt.MapClaims{"nbf": epoch.Add(leeway).Unix()}},
		{"issued within the leeway in the future", jwt.MapClaims{"iat": epoch.Add(leeway).Unix()}},
		{"without a time of issue", jwt.MapClaims{"iat": nil}},
		{"without a jti of a foreign issuer", jwt.MapClaims{"jti": nil}},
		{"without an organization", jwt.MapClaims{"org_id": nil}},
	}
	v := newVerifier(t, newRing(t), foreignKeys(), newClock())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, why, err := verify(t, v, signForeign(t, test.changes)); why != reason.Unset {
				t.Fatal(why, err)
			}
		})
	}
}

func TestOwnTokensOfOneProfileAreNoGoodInAnother(t *testing.T) {
	shared, datasets := signingKey(t, "", token.EdDSA, epoch), signingKey(t, "datasets", token.EdDSA, epoch)
	ring := newRing(t, shared, datasets)
	artos := newVerifier(t, ring, foreignKeys(), newClock())
	if _, why, err := verify(t, artos, mint(t, ring, &ownRule, mintRequest())); why != reason.Unset {
		t.Fatal(why, err)
	}
	// Minted with the key of datasets, and said to be for artos.
	request := mintRequest()
	request.Profile = "datasets"
	if _, why, _ := verify(t, artos, mint(t, ring, &ownRule, request)); why != reason.InvalidCredential {
		t.Fatalf("a token signed with another profile's key: %v", why)
	}
	// Signed with the same key, for another audience.
	other := ownRule
	other.Audiences = []string{"another"}
	if _, why, _ := verify(t, artos, mint(t, ring, &other, mintRequest())); why != reason.InvalidCredential {
		t.Fatalf("a token for another audience: %v", why)
	}
	// Signed with the own key, and said to be of the foreign issuer.
	raw, err := token.Mint(ring, &ownRule, foreignName, mintRequest())
	if err != nil {
		t.Fatal(err)
	}
	if _, why, _ := verify(t, artos, raw.Reveal()); why != reason.InvalidCredential {
		t.Fatalf("a token of the own key in a foreign name: %v", why)
	}
}

func TestAnOwnTokenNeedsAJTI(t *testing.T) {
	key := signingKey(t, "", token.HS256, epoch)
	secret, err := base64.StdEncoding.DecodeString(key.Private.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	rule := ownRule
	rule.Algorithms = []string{token.HS256}
	v, err := token.NewVerifier(&profile.Profile{Name: "artos", Issuers: []profile.Issuer{rule}}, ownName, newRing(t, key), nil, token.Options{Clock: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]reason.Reason{"": reason.InvalidCredential, "t-1": reason.Unset} {
		claims := jwt.MapClaims{"iss": string(ownName), "aud": "artos", "sub": "u", "exp": epoch.Add(time.Hour).Unix()}
		if id != "" {
			claims["jti"] = id
		}
		if _, why, err := verify(t, v, sign(t, jwt.SigningMethodHS256, secret, nil, claims)); why != want {
			t.Fatalf("jti %q: %v (%v), want %v", id, why, err, want)
		}
	}
}

func TestKeysThatCannotBeAskedAreNeverAnInvalidToken(t *testing.T) {
	for name, outage := range map[string]error{"unavailable": token.ErrUnavailable, "another fault": errors.New("boom")} {
		v := newVerifier(t, newRing(t), heldKeys{outage: outage}, newClock())
		if _, why, err := verify(t, v, signForeign(t, nil)); why != reason.Unavailable || !errors.Is(err, outage) {
			t.Fatalf("%s: %v, %v", name, why, err)
		}
	}
}

func TestGrantsThatCannotStandInAHeaderAreDropped(t *testing.T) {
	v := newVerifier(t, newRing(t), foreignKeys(), newClock())
	many := make([]any, 0, 100)
	for i := range 100 {
		many = append(many, "role-"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	tests := []struct {
		name  string
		roles any
		want  string
		count int
	}{
		{"a list", []any{"a", "b"}, "a,b", 2},
		{"a text separated by spaces", "a  b", "a,b", 2},
		{"repeats", []any{"a", "a"}, "a", 1},
		{"numbers", []any{"a", 1, nil, []any{"b"}}, "a", 1},
		{"a comma", []any{"a", "b,admin"}, "a", 1},
		{"a space in a list", []any{"a", "b c"}, "a", 1},
		{"a line end", []any{"a", "b\r\nc"}, "a", 1},
		{"a long one", []any{"a", strings.Repeat("r", 65)}, "a", 1},
		{"too many", many, "", identity.MaxGrants},
		{"an object", map[string]any{"a": true}, "", 0},
		{"none", nil, "", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			claims, why, err := verify(t, v, signForeign(t, jwt.MapClaims{"realm_access": map[string]any{"roles": test.roles}}))
			if why != reason.Unset {
				t.Fatal(why, err)
			}
			if len(claims.Grants.List()) != test.count || test.want != "" && claims.Grants.String() != test.want {
				t.Fatalf("got %q", claims.Grants)
			}
		})
	}
}

func TestAVerifiedTokenIsCachedUntilItsExpiryAndNoLongerThanTheTTL(t *testing.T) {
	tests := []struct {
		name    string
		expires time.Duration
		until   time.Duration
	}{
		{"a long-living token until the TTL", time.Hour, 10 * time.Second},
		{"a token about to expire until its expiry", 4 * time.Second, 4 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := newVerifier(t, newRing(t), foreignKeys(), newClock())
			raw := signForeign(t, jwt.MapClaims{"exp": epoch.Add(test.expires).Unix()})
			digest := identity.DigestOf(raw)
			if _, _, cached := v.Cached(digest, epoch); cached {
				t.Fatal("cached before it was verified")
			}
			verified, _, _ := verify(t, v, raw)
			for at := time.Duration(0); at < test.until; at += time.Second { // use does not prolong it
				if claims, why, cached := v.Cached(digest, epoch.Add(at)); !cached || why != reason.Unset || claims != verified {
					t.Fatalf("not cached after %v", at)
				}
			}
			if _, _, cached := v.Cached(digest, epoch.Add(test.until)); cached {
				t.Fatalf("still cached after %v", test.until)
			}
		})
	}
	t.Run("a token within the leeway after its expiry not at all", func(t *testing.T) {
		v := newVerifier(t, newRing(t), foreignKeys(), newClock())
		raw := signForeign(t, jwt.MapClaims{"exp": epoch.Add(-time.Second).Unix()})
		if _, why, err := verify(t, v, raw); why != reason.Unset {
			t.Fatal(why, err)
		}
		if _, _, cached := v.Cached(identity.DigestOf(raw), epoch); cached {
			t.Fatal("cached beyond its expiry")
		}
	})
}

func TestAnExpiredTokenIsRefusedFromTheCacheAndAForgedOneIsNot(t *testing.T) {
	for name, test := range map[string]struct {
		raw    string
		why    reason.Reason
		cached bool
	}{
		"expired": {signForeign(t, jwt.MapClaims{"exp": epoch.Add(-time.Hour).Unix()}), reason.Expired, true},
		"expired and for another audience": {
			signForeign(t, jwt.MapClaims{"exp": epoch.Add(-time.Hour).Unix(), "aud": "another"}), reason.InvalidCredential, false,
		},
		"expired and signed by another": {
			withSignatureOf(signForeign(t, nil), signForeign(t, jwt.MapClaims{"exp": epoch.Add(-time.Hour).Unix()})), reason.InvalidCredential, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, newRing(t), foreignKeys(), newClock())
			digest := identity.DigestOf(test.raw)
			if _, why, _ := verify(t, v, test.raw); why != test.why {
				t.Fatalf("%v, not %v", why, test.why)
			}
			claims, why, cached := v.Cached(digest, epoch.Add(9*time.Second))
			if claims != nil || cached != test.cached || cached && why != reason.Expired {
				t.Fatalf("%v, %v, cached %v", claims, why, cached)
			}
			if _, _, cached := v.Cached(digest, epoch.Add(10*time.Second)); cached {
				t.Fatal("still cached after the TTL")
			}
		})
	}
}

// withSignatureOf gives a token the signature of another.
func withSignatureOf(other, raw string) string {
	return raw[:strings.LastIndex(raw, ".")] + other[strings.LastIndex(other, "."):]
}

func TestTheCacheIsBoundedAndReadWithoutAllocating(t *testing.T) {
	p := &profile.Profile{Name: "artanis", Issuers: []profile.Issuer{foreignRule}}
	v, err := token.NewVerifier(p, "", nil, map[identity.Issuer]token.Keys{foreignName: foreignKeys()}, token.Options{Clock: newClock().Now, CacheSize: 32})
	if err != nil {
		t.Fatal(err)
	}
	raw := signForeign(t, nil)
	digest := identity.DigestOf(raw)
	if _, why, err := verify(t, v, raw); why != reason.Unset {
		t.Fatal(why, err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, _, cached := v.Cached(digest, epoch); !cached {
			t.Fatal("not cached")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
	var kept int
	for i := range 200 { // the same token under digests of a shard's choosing
		other := identity.Digest{0, byte(i)}
		if _, why, err := v.Verify(t.Context(), raw, other); why != reason.Unset {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		if _, _, cached := v.Cached(identity.Digest{0, byte(i)}, epoch); cached {
			kept++
		}
	}
	if kept == 0 || kept > 2 {
		t.Fatalf("%d of 200 are kept in a shard of 2", kept)
	}
}

func TestARuleThatLeavesAnythingOpenIsRefused(t *testing.T) {
	keys := map[identity.Issuer]token.Keys{foreignName: foreignKeys()}
	tests := []struct {
		name   string
		change func(*profile.Issuer)
	}{
		{"no name", func(i *profile.Issuer) { i.Name = "" }},
		{"no keys", func(i *profile.Issuer) { i.Name = "https://unknown.test" }},
		{"no audience and no party", func(i *profile.Issuer) { i.Audiences, i.AuthorizedParties = nil, nil }},
		{"an empty audience", func(i *profile.Issuer) { i.Audiences = []string{""} }},
		{"no algorithm", func(i *profile.Issuer) { i.Algorithms = nil }},
		{"alg none", func(i *profile.Issuer) { i.Algorithms = []string{"none"} }},
		{"HS256 of a foreign issuer", func(i *profile.Issuer) { i.Algorithms = []string{token.HS256} }},
		{"too long a leeway", func(i *profile.Issuer) { i.Leeway = time.Minute }},
		{"an own issuer without a ring", func(i *profile.Issuer) { i.Own = true }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rule := foreignRule
			test.change(&rule)
			if _, err := token.NewVerifier(&profile.Profile{Name: "p", Issuers: []profile.Issuer{rule}}, ownName, nil, keys, token.Options{Clock: time.Now}); err == nil {
				t.Fatal("accepted")
			}
		})
	}
	twice := &profile.Profile{Name: "p", Issuers: []profile.Issuer{foreignRule, foreignRule}}
	if _, err := token.NewVerifier(twice, ownName, nil, keys, token.Options{Clock: time.Now}); err == nil {
		t.Fatal("accepted one issuer twice")
	}
	if _, err := token.NewVerifier(&profile.Profile{}, ownName, nil, keys, token.Options{}); err == nil {
		t.Fatal("accepted no clock")
	}
}
