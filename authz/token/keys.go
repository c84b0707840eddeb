package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	jose "github.com/go-jose/go-jose/v4"
)

// The signature algorithms that are known (RFC 7518 § 3.1, RFC 8037 § 3.1).
const (
	EdDSA = "EdDSA"
	RS256 = "RS256"
	ES256 = "ES256"
	HS256 = "HS256"
)

// The errors of Keys, found with errors.Is.
var (
	// ErrUnknownKey: the issuer has no such key, as far as it says.
	ErrUnknownKey = errors.New("unknown signing key")
	// ErrUnavailable: the issuer's keys could not be asked for; nothing is known.
	ErrUnavailable = errors.New("signing keys are unavailable")
)

// Keys is where the keys of an issuer come from.
type Keys interface {
	// Key finds the key that verifies signatures of the algorithm: an
	// ed25519.PublicKey, *rsa.PublicKey or *ecdsa.PublicKey, and for HS256 the
	// secret as []byte. An empty key id finds the only key of a set of one. It
	// may block for I/O within the context. ErrUnknownKey, or ErrUnavailable.
	Key(ctx context.Context, keyID, algorithm string) (any, error)
}

const minRSABits = 2048

type verificationKey struct {
	id        string
	algorithm string // the only one it may verify; empty: any that fits its type
	key       any
}

type keySet []verificationKey

func (s keySet) find(keyID, algorithm string) (any, error) {
	if keyID == "" && len(s) != 1 {
		return nil, fmt.Errorf("%w: the token has no kid and the issuer has %d keys", ErrUnknownKey, len(s))
	}
	for _, candidate := range s {
		if keyID != "" && candidate.id != keyID {
			continue
		}
		if (candidate.algorithm == "" || candidate.algorithm == algorithm) && fits(candidate.key, algorithm) {
			return candidate.key, nil
		}
	}
	return nil, ErrUnknownKey
}

// fits ties each algorithm to one type of key, so that a public key can never be
// taken for a shared secret (RFC 8725 § 2.1).
func fits(key any, algorithm string) bool {
	switch key := key.(type) {
	case ed25519.PublicKey:
		return algorithm == EdDSA && len(key) == ed25519.PublicKeySize
	case *rsa.PublicKey:
		return algorithm == RS256 && key.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey:
		return algorithm == ES256 && key.Curve == elliptic.P256()
	case []byte:
		return algorithm == HS256 && len(key) >= minSecretBytes
	default:
		return false
	}
}

// parseKeySet reads a JWK Set (RFC 7517 § 5). Keys that cannot verify a token here
// (for encryption, of another type, too short, nameless, symmetric) are left out,
// as § 5 asks; an empty set is the issuer's word.
func parseKeySet(document []byte) (keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &raw); err != nil {
		return nil, errors.New("the key set is not JSON")
	}
	if raw.Keys == nil {
		return nil, errors.New(`the key set has no "keys"`)
	}
	set := make(keySet, 0, len(raw.Keys))
	for _, text := range raw.Keys {
		var parsed jose.JSONWebKey
		if err := parsed.UnmarshalJSON(text); err != nil {
			continue
		}
		if parsed.KeyID == "" || parsed.Use != "" && parsed.Use != "sig" || !parsed.IsPublic() {
			continue
		}
		if !fits(parsed.Key, EdDSA) && !fits(parsed.Key, RS256) && !fits(parsed.Key, ES256) {
			continue
		}
		set = append(set, verificationKey{id: parsed.KeyID, algorithm: parsed.Algorithm, key: parsed.Key})
	}
	return set, nil
}
