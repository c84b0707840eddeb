package credential_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"postern/authz/credential"
	"postern/authz/identity"
)

func argonHash(secret string, memory, passes uint32, lanes uint8) string {
	salt := []byte("0123456789abcdef")
	hash := argon2.IDKey([]byte(secret), salt, passes, memory, lanes, 32)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, lanes, encode(salt), encode(hash))
}

func bcryptHash(t *testing.T, secret string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestImportedHashesVerifyAsTheyAre(t *testing.T) {
	const secret = "imported-secret-0123"
	byBcrypt := bcryptHash(t, secret)
	tests := []struct{ name, hash string }{
		{"sha256", credential.HashSHA256(identity.DigestOf(secret)).Reveal()},
		{"bcrypt 2a", byBcrypt},
		{"bcrypt 2b", strings.Replace(byBcrypt, "$2a$", "$2b$", 1)},
		{"bcrypt 2y", strings.Replace(byBcrypt, "$2a$", "$2y$", 1)},
		{"argon2id", argonHash(secret, 1024, 2, 2)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			hash := identity.NewSecret(test.hash)
			if ok, err := credential.VerifySecret(hash, secret); !ok || err != nil {
				t.Fatalf("the right secret: %v, %v", ok, err)
			}
			for _, wrong := range []string{"", secret + "x", secret[1:], strings.Repeat("x", 100)} {
				if ok, err := credential.VerifySecret(hash, wrong); ok || err != nil {
					t.Fatalf("the wrong secret %q: %v, %v", wrong, ok, err)
				}
			}
		})
	}
}

func TestBcryptNeverAcceptsMoreThanItReads(t *testing.T) {
	secret := strings.Repeat("s", 72)
	hash := identity.NewSecret(bcryptHash(t, secret))
	if ok, err := credential.VerifySecret(hash, secret+"x"); ok || err != nil {
		t.Fatalf("73 bytes: %v, %v", ok, err)
	}
}

func TestAHashThatCannotBeReadOrCostsTooMuchIsAnError(t *testing.T) {
	good := argonHash("secret", 64, 1, 1)
	tests := []struct{ name, hash string }{
		{"nothing", ""},
		{"plain text", "secret"},
		{"md5", "$1$abc$def"},
		{"a short sha256", "sha256:00ff"},
		{"a sha256 that is not hexadecimal", "sha256:" + strings.Repeat("zz", 32)},
		{"a bcrypt that is cut off", "$2a$09$abc"},
		{"a bcrypt of a huge cost", "$2a$31$" + strings.Repeat("a", 53)},
		{"argon2i", strings.Replace(good, "argon2id", "argon2i", 1)},
		{"argon2id of another version", strings.Replace(good, "v=19", "v=16", 1)},
		{"argon2id with too much memory", strings.Replace(good, "m=64", "m=65537", 1)},
		{"argon2id with too many passes", strings.Replace(good, "t=1", "t=11", 1)},
		{"argon2id with no pass", strings.Replace(good, "t=1", "t=0", 1)},
		{"argon2id with too many lanes", strings.Replace(good, "p=1", "p=9", 1)},
		{"argon2id with settings in another order", strings.Replace(good, "m=64,t=1", "t=1,m=64", 1)},
		{"argon2id with a short hash", good[:strings.LastIndex(good, "$")] + "$AAAA"},
		{"argon2id with one part more", good + "$AAAA"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ok, err := credential.VerifySecret(identity.NewSecret(test.hash), "secret")
			if ok || err == nil {
				t.Fatalf("got %v, %v", ok, err)
			}
			if len(test.hash) > 20 && strings.Contains(err.Error(), test.hash[len(test.hash)-20:]) {
				t.Fatalf("the error holds the hash: %v", err)
			}
		})
	}
}
