package credential

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/google/uuid"

	"postern/authz/identity"
)

// Minted is a new key. Raw is shown to its owner once; the rest is kept.
type Minted struct {
	Raw    identity.Secret
	ID     identity.KeyID
	Hash   identity.Secret // in the form that VerifySecret reads
	Digest identity.Digest // of the whole raw key; zero for Bcrypt
	Hint   string          // its first public characters, so that its owner recognizes it
}

const (
	keyIDPrefix = "key_"
	keyIDLength = 20 // base62 characters behind it
	hintLength  = 4  // characters of a random part that a hint may show
)

// Mint makes a key of this format from the given source of randomness, which
// must be cryptographically secure.
func (f *Format) Mint(random io.Reader) (Minted, error) {
	secret, err := randomText(random)
	if err != nil {
		return Minted{}, err
	}
	var minted Minted
	var raw string
	switch f.Layout {
	case Opaque:
		if f.Hash != SHA256 {
			return Minted{}, fmt.Errorf("minting a key: an opaque key cannot be kept as %q, only as %q, because it is looked up by its digest", f.Hash, SHA256)
		}
		id, err := randomText(random)
		if err != nil {
			return Minted{}, err
		}
		raw = f.Prefix + secret
		if f.Checksum {
			sum := checksum(raw)
			raw += string(sum[:])
		}
		minted.ID = identity.KeyID(keyIDPrefix + id[secretLength-keyIDLength:])
		minted.Hint = f.Prefix + secret[:hintLength]
	case Pair:
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			return Minted{}, fmt.Errorf("minting a key: reading randomness: %w", err)
		}
		raw = base64.StdEncoding.EncodeToString([]byte(id.String() + ":" + secret))
		minted.ID = identity.KeyID(id.String())
		minted.Hint = raw[:2*hintLength] // of the id, which is public
	default:
		return Minted{}, fmt.Errorf("minting a key: unknown layout %d", f.Layout)
	}
	minted.Raw = identity.NewSecret(raw)
	switch f.Hash {
	case SHA256:
		minted.Digest = identity.DigestOf(raw)
		minted.Hash = HashSHA256(minted.Digest)
	case Bcrypt:
		if minted.Hash, err = hashBcrypt(secret); err != nil {
			return Minted{}, fmt.Errorf("minting a key: %w", err)
		}
	default:
		return Minted{}, fmt.Errorf("minting a key: unknown hash %q, it must be %q or %q", f.Hash, SHA256, Bcrypt)
	}
	return minted, nil
}

// randomText is 32 random bytes as 43 base62 characters.
func randomText(random io.Reader) (string, error) {
	var bytes [secretBytes]byte
	if _, err := io.ReadFull(random, bytes[:]); err != nil {
		return "", fmt.Errorf("minting a key: reading randomness: %w", err)
	}
	text := new(big.Int).SetBytes(bytes[:]).Text(len(alphabet))
	return strings.Repeat("0", secretLength-len(text)) + text, nil
}
