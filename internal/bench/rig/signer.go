package rig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
)

// Signer is a trusted issuer of tokens with one algorithm.
type Signer struct {
	Algorithm string
	Profile   string // that trusts it, in Profiles

	issuer string
	method jwt.SigningMethod
	key    crypto.PrivateKey
}

// Audience is whom the tokens are for.
const Audience = "bench"

// Signers are one issuer for each algorithm; their key sets are files beside the
// profiles, which are returned too.
func (r *Rig) Signers() (signers []*Signer, profiles string, err error) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		s := &Signer{
			Algorithm: algorithm, Profile: "bench-" + strings.ToLower(algorithm),
			issuer: "https://" + strings.ToLower(algorithm) + ".bench.example", method: jwt.GetSigningMethod(algorithm),
		}
		public, err := s.generate()
		if err != nil {
			return nil, "", fmt.Errorf("make the issuer of %s: %w", algorithm, err)
		}
		set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k1", Algorithm: algorithm, Use: "sig"}}})
		if err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(r.Path(s.Profile+".jwks.json"), set, 0o600); err != nil {
			return nil, "", err
		}
		signers = append(signers, s)
		profiles += fmt.Sprintf("---\nprofile: %s\ncredentials: [{ bearer: token }]\ntokens:\n"+
			"  - { issuer: %q, jwks_file: ../%s.jwks.json, algorithms: [%s], audience: %s, directory: trusted, claims: { organization: org, permissions: scope } }\n",
			s.Profile, s.issuer, s.Profile, algorithm, Audience)
	}
	return signers, strings.TrimPrefix(profiles, "---\n"), nil
}

func (s *Signer) generate() (crypto.PublicKey, error) {
	switch s.Algorithm {
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		s.key = key
		return key.Public(), nil
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		s.key = key
		return key.Public(), nil
	default:
		public, key, err := ed25519.GenerateKey(rand.Reader)
		s.key = key
		return public, err
	}
}

// Token is one that differs from the others by a claim. It has no jti, so that
// nothing is looked up for it in the store.
func (s *Signer) Token(n int) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(s.method, jwt.MapClaims{
		"iss": s.issuer, "aud": Audience, "sub": "user_bench", "org": BulkOrg, "scope": "READ", "nonce": n,
		"iat": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(),
	})
	token.Header["kid"] = "k1"
	return token.SignedString(s.key)
}
