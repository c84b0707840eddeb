package issuer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"postern/internal/demo/issuer"
)

func open(t *testing.T, dir string) *issuer.Issuer {
	t.Helper()
	i, err := issuer.Open(dir, "clerk", "https://clerk.example")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestTokensVerifyWithThePublishedKeyAlsoAfterARestart(t *testing.T) {
	dir := t.TempDir()
	signed, err := open(t, dir).Mint(map[string]any{"sub": "user_1", "azp": "https://app.example"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	open(t, dir) // a second start keeps the key

	text, err := os.ReadFile(filepath.Join(dir, "clerk.jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	var published jose.JSONWebKeySet
	if err := json.Unmarshal(text, &published); err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	_, err = jwt.ParseWithClaims(signed, claims, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		return published.Key(kid)[0].Key, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("https://clerk.example"), jwt.WithExpirationRequired())
	if err != nil || claims["sub"] != "user_1" || claims["azp"] != "https://app.example" {
		t.Errorf("got %v, %v", claims, err)
	}
	if !published.Keys[0].IsPublic() {
		t.Error("the private key is published")
	}
}

func TestBrokenKeyIsAnErrorNotANewKey(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "clerk.pem"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Open(dir, "clerk", "https://clerk.example"); err == nil {
		t.Error("a broken key was accepted")
	}
}
