package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

func TestNoForgedOrUnfitTokenIsAccepted(t *testing.T) {
	ring := newRing(t, signingKey(t, "", token.EdDSA, epoch))
	v := newVerifier(t, ring, foreignKeys(), newClock())
	secondsFrom := func(d time.Duration) int64 { return epoch.Add(d).Unix() }
	kid := map[string]any{"kid": foreignKid}
	header := func(name string, value any) map[string]any { return map[string]any{"kid": foreignKid, name: value} }
	withBody := func(body string) string { return signText(t, `{"alg":"RS256","kid":"`+foreignKid+`"}`, body) }
	good := signForeign(t, nil)
	parts := strings.Split(good, ".")

	tests := []struct {
		name string
		raw  string
		why  reason.Reason
	}{
		{"alg none without a signature", encode(`{"alg":"none","kid":"`+foreignKid+`"}`) + "." + parts[1] + ".", reason.MalformedCredential},
		{"alg none with a signature", encode(`{"alg":"none","kid":"`+foreignKid+`"}`) + "." + parts[1] + "." + parts[2], reason.InvalidCredential},
		{"alg none in another case", encode(`{"alg":"nOnE","kid":"`+foreignKid+`"}`) + "." + parts[1] + "." + parts[2], reason.InvalidCredential},
		{"HS256 with the RSA public key's PEM as secret", sign(t, jwt.SigningMethodHS256, publicPEM(t), kid, foreignClaims(nil)), reason.InvalidCredential},
		{"HS256 with the RSA modulus as secret", sign(t, jwt.SigningMethodHS256, rsaKey().N.Bytes(), kid, foreignClaims(nil)), reason.InvalidCredential},
		{"another algorithm of the same key", sign(t, jwt.SigningMethodRS512, rsaKey(), kid, foreignClaims(nil)), reason.InvalidCredential},
		{"PSS with the same key", sign(t, jwt.SigningMethodPS256, rsaKey(), kid, foreignClaims(nil)), reason.InvalidCredential},
		{"the algorithm of the profile's other issuer", sign(t, jwt.SigningMethodES256, newEC(t), kid, foreignClaims(nil)), reason.InvalidCredential},
		{"another key under a known kid", sign(t, jwt.SigningMethodRS256, otherRSAKey(), kid, foreignClaims(nil)), reason.InvalidCredential},
		{"an unknown kid", sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": "other"}, foreignClaims(nil)), reason.InvalidCredential},
		{"a kid that is a number", signText(t, `{"alg":"RS256","kid":1}`, `{"iss":"https://login.test"}`), reason.MalformedCredential},
		{"a key in the header", sign(t, jwt.SigningMethodRS256, otherRSAKey(), header("jwk", publicJWK(&otherRSAKey().PublicKey, foreignKid, "sig")), foreignClaims(nil)), reason.InvalidCredential},
		{"a key set in the header", sign(t, jwt.SigningMethodRS256, otherRSAKey(), header("jku", "http://127.0.0.1:1/jwks"), foreignClaims(nil)), reason.InvalidCredential},
		{"a critical extension", sign(t, jwt.SigningMethodRS256, rsaKey(), header("crit", []string{"b64"}), foreignClaims(nil)), reason.MalformedCredential},
		{"another issuer", signForeign(t, jwt.MapClaims{"iss": "https://evil.test"}), reason.InvalidCredential},
		{"an issuer with a slash more", signForeign(t, jwt.MapClaims{"iss": string(foreignName) + "/"}), reason.InvalidCredential},
		{"a list of issuers", signForeign(t, jwt.MapClaims{"iss": []string{string(foreignName)}}), reason.InvalidCredential},
		{"no issuer", signForeign(t, jwt.MapClaims{"iss": nil}), reason.InvalidCredential},
		{"the own issuer with a foreign key", signForeign(t, jwt.MapClaims{"iss": string(ownName), "aud": "artos"}), reason.InvalidCredential},
		{"another audience", signForeign(t, jwt.MapClaims{"aud": "account"}), reason.InvalidCredential},
		{"an audience that begins alike", signForeign(t, jwt.MapClaims{"aud": "arthur-api2"}), reason.InvalidCredential},
		{"no audience", signForeign(t, jwt.MapClaims{"aud": nil}), reason.InvalidCredential},
		{"another party", signForeign(t, jwt.MapClaims{"azp": "evil"}), reason.InvalidCredential},
		{"no party", signForeign(t, jwt.MapClaims{"azp": nil}), reason.InvalidCredential},
		{"a list of parties", signForeign(t, jwt.MapClaims{"azp": []string{"cli"}}), reason.InvalidCredential},
		{"no expiry", signForeign(t, jwt.MapClaims{"exp": nil}), reason.InvalidCredential},
		{"an expiry of 0", signForeign(t, jwt.MapClaims{"exp": 0}), reason.InvalidCredential},
		{"an expiry in words", signForeign(t, jwt.MapClaims{"exp": "tomorrow"}), reason.InvalidCredential},
		{"an expiry beyond all calendars", signForeign(t, jwt.MapClaims{"exp": 1e300}), reason.InvalidCredential},
		{"an expiry beyond the leeway", signForeign(t, jwt.MapClaims{"exp": secondsFrom(-leeway)}), reason.Expired},
		{"an expiry long ago and another audience", signForeign(t, jwt.MapClaims{"exp": secondsFrom(-time.Hour), "aud": "x"}), reason.InvalidCredential},
		{"an expiry long ago and another party", signForeign(t, jwt.MapClaims{"exp": secondsFrom(-time.Hour), "azp": "x"}), reason.InvalidCredential},
		{"an expiry long ago and a wrong signature", sign(t, jwt.SigningMethodRS256, otherRSAKey(), kid, foreignClaims(jwt.MapClaims{"exp": secondsFrom(-time.Hour)})), reason.InvalidCredential},
		{"not before a time beyond the leeway", signForeign(t, jwt.MapClaims{"nbf": secondsFrom(leeway + time.Second)}), reason.InvalidCredential},
		{"issued beyond the leeway in the future", signForeign(t, jwt.MapClaims{"iat": secondsFrom(leeway + time.Second)}), reason.InvalidCredential},
		{"no subject", signForeign(t, jwt.MapClaims{"sub": nil}), reason.InvalidCredential},
		{"a subject that is a number", signForeign(t, jwt.MapClaims{"sub": 7}), reason.InvalidCredential},
		{"a subject with a line end", signForeign(t, jwt.MapClaims{"sub": "a\r\nx-org-id: b"}), reason.InvalidCredential},
		{"a subject beyond ASCII", signForeign(t, jwt.MapClaims{"sub": "usér"}), reason.InvalidCredential},
		{"a subject too long for a header", signForeign(t, jwt.MapClaims{"sub": strings.Repeat("u", 257)}), reason.InvalidCredential},
		{"an organization with a space", signForeign(t, jwt.MapClaims{"org_id": "org 1"}), reason.InvalidCredential},
		{"an organization that is a list", signForeign(t, jwt.MapClaims{"org_id": []string{"org-1"}}), reason.InvalidCredential},
		{"a claim twice", withBody(`{"iss":"https://login.test","aud":"arthur-api","azp":"cli","exp":9999999999,"sub":"a","sub":"b"}`), reason.MalformedCredential},
		{"a claim twice deep inside", withBody(`{"iss":"https://login.test","a":[{"b":{"c":1,"\u0063":2}}]}`), reason.MalformedCredential},
		{"an oversized token", signForeign(t, jwt.MapClaims{"padding": strings.Repeat("p", token.MaxLength)}), reason.MalformedCredential},
		{"claims that are a list", withBody(`[]`), reason.MalformedCredential},
		{"claims that are null", withBody(`null`), reason.MalformedCredential},
		{"two JSON texts", withBody(`{"iss":"https://login.test"}{}`), reason.MalformedCredential},
		{"a line end inside", parts[0] + "." + parts[1] + "\n." + parts[2], reason.MalformedCredential},
		{"a line end in the signature", good[:len(good)-4] + "\n" + good[len(good)-4:], reason.MalformedCredential},
		{"padding", good + "=", reason.InvalidCredential},
		{"a cut signature", good[:len(good)-8], reason.InvalidCredential},
		{"four parts", good + ".x", reason.MalformedCredential},
		{"two parts", parts[0] + "." + parts[1], reason.MalformedCredential},
		{"nothing", "", reason.MalformedCredential},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, why, err := verify(t, v, test.raw)
			if why != test.why {
				t.Fatalf("got %v (%v), want %v", why, err, test.why)
			}
			if len(test.raw) > 0 && strings.Contains(err.Error(), test.raw) {
				t.Fatal("the error holds the token")
			}
			if claims, why, cached := v.Cached(identity.DigestOf(test.raw), epoch); claims != nil || cached && why == reason.Unset {
				t.Fatal("a refusal was cached as a success")
			}
		})
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signText signs texts as they are with the foreign key.
func signText(t *testing.T, header, body string) string {
	t.Helper()
	text := encode(header) + "." + encode(body)
	signature, err := jwt.SigningMethodRS256.Sign(text, rsaKey())
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func publicPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&rsaKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestOneKidOfTwoIssuersNamesTwoKeys(t *testing.T) {
	other := foreignRule
	other.Name = "https://other.test"
	p := &profile.Profile{Name: "two", Issuers: []profile.Issuer{foreignRule, other}}
	keys := map[identity.Issuer]token.Keys{
		foreignName: foreignKeys(),
		other.Name:  heldKeys{byID: map[string]any{foreignKid: &otherRSAKey().PublicKey}},
	}
	v, err := token.NewVerifier(p, "", nil, keys, token.Options{Clock: newClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, why, err := verify(t, v, signForeign(t, nil)); why != reason.Unset {
		t.Fatal(why, err)
	}
	if _, why, _ := verify(t, v, signForeign(t, jwt.MapClaims{"iss": string(other.Name)})); why != reason.InvalidCredential {
		t.Fatalf("one issuer's key signs for the other: %v", why)
	}
}

func FuzzVerify(f *testing.F) {
	ring := newRing(f, signingKey(f, "", token.EdDSA, epoch))
	good := mint(f, ring, &ownRule, mintRequest())
	f.Add(good)
	f.Add(good[:len(good)-1] + "A")
	f.Add(signForeign(f, nil))
	f.Add("ey.ey.ey")
	f.Add(encode(`{"alg":"EdDSA","crit":[]}`) + "." + encode(`{"iss":"https://postern.test","exp":1e999}`) + ".AA")
	f.Add(encode(`{"alg":"EdDSA"}`) + "." + encode(`{"iss":"https://postern.test","aud":[["artos"]],"exp":9e15,"jti":{}}`) + ".AA")
	foreign := foreignKeys()
	accepted := map[string]bool{good: true, signForeign(f, nil): true} // RS256 signs alike each time
	f.Fuzz(func(t *testing.T, raw string) {
		v := newVerifier(t, ring, foreign, newClock())
		_, why, _ := verify(t, v, raw)
		if (why == reason.Unset) != accepted[raw] {
			t.Fatalf("%q: %v", raw, why)
		}
	})
}
