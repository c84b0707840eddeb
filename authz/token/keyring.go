package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"postern/authz/identity"
)

const (
	minSecretBytes = 32 // of an HS256 secret (RFC 7518 § 3.2)
	keyIDBytes     = 16
)

// KeyRing holds the signing keys of Postern's own issuer. It may be replaced
// while it is in use.
type KeyRing struct{ state atomic.Pointer[ring] }

type ring struct {
	keys     []signingKey // newest first
	document []byte
}

type signingKey struct {
	identity.SigningKey
	signer       any // what golang-jwt signs with
	verification any // what it verifies with
}

// NewKeyRing makes a ring of the given keys; of none, too.
func NewKeyRing(keys []identity.SigningKey) (*KeyRing, error) {
	var r KeyRing
	if err := r.Replace(keys); err != nil {
		return nil, err
	}
	return &r, nil
}

// Replace puts other keys in place of the present ones at once. On an error the
// present ones stay.
func (r *KeyRing) Replace(keys []identity.SigningKey) error {
	next := &ring{}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	seen := make(map[string]bool)
	for _, key := range keys {
		if key.ID == "" || seen[key.ID] {
			return fmt.Errorf("loading signing keys: the id %q is empty or there twice; each key needs its own", key.ID)
		}
		seen[key.ID] = true
		loaded, err := load(key)
		if err != nil {
			return fmt.Errorf("loading signing key %q: %w", key.ID, err)
		}
		next.keys = append(next.keys, loaded)
		if key.Algorithm != HS256 {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: loaded.verification, KeyID: key.ID, Algorithm: key.Algorithm, Use: "sig"})
		}
	}
	slices.SortStableFunc(next.keys, func(a, b signingKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	document, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("writing the key set: %w", err)
	}
	next.document = document
	r.state.Store(next)
	return nil
}

// JWKS is the JWK Set (RFC 7517 § 5) of the public keys, retired ones included,
// because tokens they signed may still live. HS256 has none. The caller must not
// change it.
func (r *KeyRing) JWKS() []byte { return r.state.Load().document }

// of lists a profile's keys, newest first: its own, or else the keys for every profile.
func (r *KeyRing) of(name identity.ProfileName) []signingKey {
	var own, rest []signingKey
	for _, key := range r.state.Load().keys {
		switch key.Profile {
		case name:
			own = append(own, key)
		case "":
			rest = append(rest, key)
		}
	}
	if len(own) > 0 {
		return own
	}
	return rest
}

// signing finds the newest key of a profile that may sign at the time.
func (r *KeyRing) signing(name identity.ProfileName, algorithms []string, now time.Time) (signingKey, error) {
	for _, key := range r.of(name) {
		inUse := key.RetiredAt.IsZero() || now.Before(key.RetiredAt)
		if inUse && slices.Contains(algorithms, key.Algorithm) {
			return key, nil
		}
	}
	return signingKey{}, fmt.Errorf("profile %q has no signing key in use for %v; create one", name, algorithms)
}

// ringKeys are the verification keys of one profile (Keys).
type ringKeys struct {
	ring *KeyRing
	name identity.ProfileName
}

func (k ringKeys) Key(_ context.Context, keyID, algorithm string) (any, error) {
	var set keySet
	for _, key := range k.ring.of(k.name) {
		set = append(set, verificationKey{id: key.ID, algorithm: key.Algorithm, key: key.verification})
	}
	return set.find(keyID, algorithm)
}

func load(key identity.SigningKey) (signingKey, error) {
	private, err := base64.StdEncoding.DecodeString(key.Private.Reveal())
	if err != nil {
		return signingKey{}, errors.New("the private key is not base64")
	}
	loaded := signingKey{SigningKey: key}
	if key.Algorithm == HS256 {
		loaded.signer, loaded.verification = private, private
	} else {
		parsed, err := x509.ParsePKCS8PrivateKey(private)
		if err != nil {
			return signingKey{}, errors.New("the private key is not PKCS #8")
		}
		signer, ok := parsed.(crypto.Signer)
		if !ok {
			return signingKey{}, errors.New("the private key cannot sign")
		}
		loaded.signer, loaded.verification = signer, signer.Public()
	}
	if !fits(loaded.verification, key.Algorithm) {
		return signingKey{}, fmt.Errorf("the key is not one for %q: use an Ed25519 key for EdDSA, RSA of %d bits or more for RS256, P-256 for ES256, %d bytes or more for HS256",
			key.Algorithm, minRSABits, minSecretBytes)
	}
	return loaded, nil
}

// GenerateSigningKey makes a new key for the profile, or for every profile
// without one of its own where it is empty. The algorithm is EdDSA, RS256 (2048
// bits), ES256 or HS256 (32 bytes).
func GenerateSigningKey(name identity.ProfileName, algorithm string, random io.Reader, now time.Time) (identity.SigningKey, error) {
	key, err := generate(algorithm, random)
	if err != nil {
		return identity.SigningKey{}, fmt.Errorf("generating a signing key: %w", err)
	}
	var id [keyIDBytes]byte
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return identity.SigningKey{}, fmt.Errorf("generating a signing key: %w", err)
	}
	private, ok := key.([]byte)
	if !ok {
		if private, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return identity.SigningKey{}, fmt.Errorf("generating a signing key: %w", err)
		}
	}
	return identity.SigningKey{
		ID:        base64.RawURLEncoding.EncodeToString(id[:]),
		Profile:   name,
		Algorithm: algorithm,
		Private:   identity.NewSecret(base64.StdEncoding.EncodeToString(private)),
		CreatedAt: now,
	}, nil
}

func generate(algorithm string, random io.Reader) (any, error) {
	switch algorithm {
	case EdDSA:
		_, key, err := ed25519.GenerateKey(random)
		return key, err
	case RS256:
		return rsa.GenerateKey(random, minRSABits)
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), random)
	case HS256:
		secret := make([]byte, minSecretBytes)
		_, err := io.ReadFull(random, secret)
		return secret, err
	default:
		return nil, fmt.Errorf("unknown algorithm %q: use %s, %s, %s or %s", algorithm, EdDSA, RS256, ES256, HS256)
	}
}
