package token_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

func TestAMintedTokenOfEachAlgorithmSaysWhatWasAskedFor(t *testing.T) {
	for _, algorithm := range []string{token.EdDSA, token.RS256, token.ES256, token.HS256} {
		t.Run(algorithm, func(t *testing.T) {
			rule := ownRule
			rule.Algorithms = []string{algorithm}
			rule.AuthorizedParties = []string{"console"}
			rule.Claims.User = "user.id"
			rule.Claims.Permissions = "user.permissions"
			ring := newRing(t, signingKey(t, "artos", algorithm, epoch))
			v, err := token.NewVerifier(&profile.Profile{Name: "artos", Issuers: []profile.Issuer{rule}}, ownName, ring, nil, token.Options{Clock: newClock().Now})
			if err != nil {
				t.Fatal(err)
			}
			claims, why, err := verify(t, v, mint(t, ring, &rule, mintRequest()))
			if why != reason.Unset {
				t.Fatal(why, err)
			}
			r := mintRequest()
			if claims.Issuer != "" || claims.ID != r.ID || claims.Subject != r.Subject || claims.Org != r.Org || claims.OrgSlug != r.OrgSlug ||
				claims.Environment != r.Environment || claims.Grants.String() != r.Grants.String() ||
				!claims.IssuedAt.Equal(r.IssuedAt) || !claims.ExpiresAt.Equal(r.ExpiresAt) {
				t.Fatalf("got %+v", claims)
			}
		})
	}
}

func TestMintRefusesWhatItsVerifierWouldRefuse(t *testing.T) {
	ring := newRing(t, signingKey(t, "", token.EdDSA, epoch))
	tests := []struct {
		name   string
		change func(*profile.Issuer, *token.MintRequest)
	}{
		{"no jti", func(_ *profile.Issuer, r *token.MintRequest) { r.ID = "" }},
		{"no subject", func(_ *profile.Issuer, r *token.MintRequest) { r.Subject = "" }},
		{"an expiry before the issue", func(_ *profile.Issuer, r *token.MintRequest) { r.ExpiresAt = r.IssuedAt }},
		{"no expiry", func(_ *profile.Issuer, r *token.MintRequest) { r.ExpiresAt = time.Time{} }},
		{"too long a life", func(i *profile.Issuer, _ *token.MintRequest) { i.MaxLifetime = time.Minute }},
		{"another party's issuer", func(i *profile.Issuer, _ *token.MintRequest) { i.Own = false }},
		{"no key of the algorithm", func(i *profile.Issuer, _ *token.MintRequest) { i.Algorithms = []string{token.HS256} }},
		{"two claims of one name", func(i *profile.Issuer, _ *token.MintRequest) { i.Claims.Organization = "sub" }},
		{"a claim inside a text", func(i *profile.Issuer, _ *token.MintRequest) { i.Claims.Organization = "iss.org" }},
		{"more than fits", func(_ *profile.Issuer, r *token.MintRequest) {
			r.Subject = strings.Repeat("s", token.MaxLength)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rule, request := ownRule, mintRequest()
			test.change(&rule, &request)
			if _, err := token.Mint(ring, &rule, ownName, request); err == nil {
				t.Fatal("minted")
			}
		})
	}
	if _, err := token.Mint(ring, &ownRule, "", mintRequest()); err == nil {
		t.Fatal("minted without an issuer's name")
	}
}

func TestARetiredKeyVerifiesButSignsNoMore(t *testing.T) {
	old, fresh := signingKey(t, "", token.EdDSA, epoch.Add(-time.Hour)), signingKey(t, "", token.EdDSA, epoch)
	ring := newRing(t, old)
	v := newVerifier(t, ring, foreignKeys(), newClock())
	before := mint(t, ring, &ownRule, mintRequest())
	old.RetiredAt = epoch
	if err := ring.Replace([]identity.SigningKey{old, fresh}); err != nil {
		t.Fatal(err)
	}
	after := mint(t, ring, &ownRule, mintRequest())
	for raw, kid := range map[string]string{before: old.ID, after: fresh.ID} {
		if _, why, err := verify(t, v, raw); why != reason.Unset {
			t.Fatal(why, err)
		}
		if parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{}); err != nil || parsed.Header["kid"] != kid {
			t.Fatalf("signed by %v, want %s (%v)", parsed.Header["kid"], kid, err)
		}
	}
	if err := ring.Replace([]identity.SigningKey{old}); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Mint(ring, &ownRule, ownName, mintRequest()); err == nil {
		t.Fatal("a retired key signed")
	}
}

func TestABadKeyLeavesTheRingAsItIs(t *testing.T) {
	good := signingKey(t, "", token.EdDSA, epoch)
	ring := newRing(t, good)
	with := func(algorithm, private string) identity.SigningKey {
		return identity.SigningKey{ID: "bad", Algorithm: algorithm, Private: identity.NewSecret(private), CreatedAt: epoch}
	}
	smallDER, err := x509.MarshalPKCS8PrivateKey(newRSASmall(t))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		keys []identity.SigningKey
	}{
		{"not base64", []identity.SigningKey{with(token.EdDSA, "!")}},
		{"not PKCS #8", []identity.SigningKey{with(token.EdDSA, "AAAA")}},
		{"a short HS256 secret", []identity.SigningKey{with(token.HS256, base64.StdEncoding.EncodeToString(make([]byte, 31)))}},
		{"a short RSA key", []identity.SigningKey{with(token.RS256, base64.StdEncoding.EncodeToString(smallDER))}},
		{"a key of another type", []identity.SigningKey{with(token.RS256, good.Private.Reveal())}},
		{"an unknown algorithm", []identity.SigningKey{with("none", good.Private.Reveal())}},
		{"one id twice", []identity.SigningKey{good, good}},
		{"no id", []identity.SigningKey{{Algorithm: token.EdDSA, Private: good.Private}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := ring.Replace(test.keys)
			if err == nil {
				t.Fatal("loaded")
			}
			if strings.Contains(err.Error(), good.Private.Reveal()) {
				t.Fatal("the error holds a private key")
			}
			mint(t, ring, &ownRule, mintRequest())
		})
	}
	if _, err := token.GenerateSigningKey("", "HS1", rand.Reader, epoch); err == nil {
		t.Fatal("generated a key of an unknown algorithm")
	}
}

func TestTheKeySetHoldsPublicKeysOnly(t *testing.T) {
	retired := signingKey(t, "", token.ES256, epoch)
	retired.RetiredAt = epoch
	keys := []identity.SigningKey{
		signingKey(t, "", token.EdDSA, epoch), signingKey(t, "arthur-platform", token.RS256, epoch), retired, signingKey(t, "datasets", token.HS256, epoch),
	}
	text := newRing(t, keys...).JWKS()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil {
		t.Fatal(err)
	}
	published := make(map[string]string)
	for _, key := range set.Keys {
		published[key["kid"]] = key["alg"]
		for _, private := range []string{"d", "p", "q", "k", "dp", "dq", "qi"} {
			if _, there := key[private]; there {
				t.Fatalf("%s is published with %q", key["kid"], private)
			}
		}
		if key["use"] != "sig" {
			t.Fatalf("%s has use %q", key["kid"], key["use"])
		}
	}
	if len(published) != 3 {
		t.Fatalf("published %v", published)
	}
	for _, key := range keys[:3] {
		if published[key.ID] != key.Algorithm {
			t.Fatalf("published %v, without %s of %s", published, key.ID, key.Algorithm)
		}
	}
	if got := string(newRing(t).JWKS()); got != `{"keys":[]}` {
		t.Fatalf("the key set of no keys is %s", got)
	}
}
