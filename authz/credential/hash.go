package credential

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"postern/authz/identity"
)

const (
	sha256Prefix = "sha256:"
	bcryptPrefix = "$2"
	argonPrefix  = "$argon2id$"

	bcryptCost = 9
	// The bounds of an imported record, so that none can exhaust the server.
	maxBcryptCost   = 14
	maxArgonMemory  = 64 << 10 // KiB
	maxArgonTime    = 10
	maxArgonThreads = 8
	minArgonSalt    = 8
	minArgonHash    = 16
	maxArgonField   = 64 // bytes of the salt and of the hash
)

// HashSHA256 is the kept form of a key that is looked up by its digest.
func HashSHA256(digest identity.Digest) identity.Secret {
	return identity.NewSecret(sha256Prefix + digest.String())
}

func hashBcrypt(secret string) (identity.Secret, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcryptCost)
	if err != nil {
		return identity.Secret{}, fmt.Errorf("hashing with bcrypt: %w", err)
	}
	return identity.NewSecret(string(hash)), nil
}

// VerifySecret reports, in constant time, whether what was presented is what the
// hash was made of: the whole raw key where the record is looked up by digest, the
// secret of a Pair where it is looked up by id. It reads "sha256:<hex>", bcrypt's
// own form, and argon2id in the PHC string format. An error means that the hash
// cannot be read or asks for more work than is allowed; it never holds the hash.
func VerifySecret(hash identity.Secret, presented string) (bool, error) {
	text := hash.Reveal()
	switch {
	case strings.HasPrefix(text, sha256Prefix):
		return verifySHA256(text, presented)
	case strings.HasPrefix(text, argonPrefix):
		return verifyArgon2id(text, presented)
	case strings.HasPrefix(text, bcryptPrefix):
		return verifyBcrypt(text, presented)
	default:
		return false, errors.New("verifying a key: the kept hash is neither sha256, bcrypt nor argon2id; import it in one of these forms")
	}
}

// isSlow reports whether verifying costs enough to need a bound.
func isSlow(hash identity.Secret) bool {
	return !strings.HasPrefix(hash.Reveal(), sha256Prefix)
}

func verifySHA256(text, presented string) (bool, error) {
	want, err := hex.DecodeString(text[len(sha256Prefix):])
	if err != nil || len(want) != sha256.Size {
		return false, errors.New("verifying a key: the kept sha256 is not 64 hexadecimal digits")
	}
	have := sha256.Sum256([]byte(presented))
	return subtle.ConstantTimeCompare(have[:], want) == 1, nil
}

func verifyBcrypt(text, presented string) (bool, error) {
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil {
		return false, errors.New("verifying a key: the kept bcrypt hash cannot be read")
	}
	if cost > maxBcryptCost {
		return false, fmt.Errorf("verifying a key: the kept bcrypt hash has cost %d, more than %d", cost, maxBcryptCost)
	}
	if len(presented) > maxPairSecret {
		return false, nil // bcrypt would compare the first 72 bytes only
	}
	err = bcrypt.CompareHashAndPassword([]byte(text), []byte(presented))
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	if err != nil {
		return false, errors.New("verifying a key: the kept bcrypt hash cannot be read")
	}
	return true, nil
}

// verifyArgon2id reads $argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>.
func verifyArgon2id(text, presented string) (bool, error) {
	unreadable := errors.New("verifying a key: the kept argon2id hash is not in the PHC form $argon2id$v=19$m=…,t=…,p=…$salt$hash")
	parts := strings.Split(text[len(argonPrefix):], "$")
	if len(parts) != 4 || parts[0] != "v="+strconv.Itoa(argon2.Version) {
		return false, unreadable
	}
	settings := strings.Split(parts[1], ",")
	if len(settings) != 3 {
		return false, unreadable
	}
	memory, okM := setting(settings[0], "m=", maxArgonMemory)
	passes, okT := setting(settings[1], "t=", maxArgonTime)
	lanes, okP := setting(settings[2], "p=", maxArgonThreads)
	if !okM || !okT || !okP {
		return false, fmt.Errorf("verifying a key: the kept argon2id hash must have 1 ≤ m ≤ %d, 1 ≤ t ≤ %d and 1 ≤ p ≤ %d", maxArgonMemory, maxArgonTime, maxArgonThreads)
	}
	salt, errSalt := base64.RawStdEncoding.Strict().DecodeString(parts[2])
	want, errHash := base64.RawStdEncoding.Strict().DecodeString(parts[3])
	if errSalt != nil || errHash != nil ||
		len(salt) < minArgonSalt || len(salt) > maxArgonField ||
		len(want) < minArgonHash || len(want) > maxArgonField {
		return false, unreadable
	}
	have := argon2.IDKey([]byte(presented), salt, passes, memory, uint8(lanes), uint32(len(want)))
	return subtle.ConstantTimeCompare(have, want) == 1, nil
}

func setting(text, name string, most uint32) (uint32, bool) {
	digits, found := strings.CutPrefix(text, name)
	if !found {
		return 0, false
	}
	value, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || value < 1 || value > uint64(most) {
		return 0, false
	}
	return uint32(value), true
}
