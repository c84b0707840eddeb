// Package issuer stands in for the identity providers of the demo, Clerk and
// Keycloak: it signs tokens with a key of its own and publishes that key as a
// JWKS file (RFC 7517). It knows nothing of Postern, as a provider would not.
package issuer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// Issuer signs RS256 tokens of one iss.
type Issuer struct {
	name string
	kid  string
	key  *rsa.PrivateKey
}

// Open takes the issuer's key from dir/file.pem, made when it is not there yet,
// and writes dir/file.jwks.json. The name is the iss of its tokens.
func Open(dir, file, name string) (*Issuer, error) {
	key, err := openKey(filepath.Join(dir, file+".pem"))
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", name, err)
	}
	digest := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	i := &Issuer{name: name, kid: base64.RawURLEncoding.EncodeToString(digest[:12]), key: key}
	jwks, err := json.MarshalIndent(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &key.PublicKey, KeyID: i.kid, Algorithm: "RS256", Use: "sig"},
	}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("issuer %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, file+".jwks.json"), jwks, 0o644); err != nil {
		return nil, fmt.Errorf("issuer %s: %w", name, err)
	}
	return i, nil
}

func openKey(path string) (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
		return key, os.WriteFile(path, block, 0o600)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key; remove it to have a new one made", path)
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

// Name is the iss of the tokens.
func (i *Issuer) Name() string { return i.name }

// Mint signs the claims, to which it adds iss, iat and exp.
func (i *Issuer) Mint(claims map[string]any, life time.Duration) (string, error) {
	now := time.Now()
	all := jwt.MapClaims{"iss": i.name, "iat": now.Unix(), "exp": now.Add(life).Unix()}
	maps.Copy(all, claims)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, all)
	token.Header["kid"] = i.kid
	signed, err := token.SignedString(i.key)
	if err != nil {
		return "", fmt.Errorf("issuer %s: sign a token: %w", i.name, err)
	}
	return signed, nil
}
