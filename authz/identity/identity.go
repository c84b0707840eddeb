// Package identity holds the vocabulary of authentication: who a principal is
// and the records a decision is made from. It knows no transport, storage or
// profile, and imports nothing but the standard library.
package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
	"unsafe"
)

// Identifiers carry meaning: one cannot be passed where another is wanted.
type (
	// OrgID identifies an organization; byte for byte, case matters.
	OrgID string
	// OrgSlug is an organization's public short name, unique in a store.
	OrgSlug string
	// UserID identifies a user of the store.
	UserID string
	// KeyID identifies an API key; it is public and safe to log.
	KeyID string
	// TokenID is a token's jti (RFC 7519 § 4.1.7).
	TokenID string
	// ResourceID identifies a resource that an organization owns.
	ResourceID string
	// ResourceKind names a family of resources, such as "project".
	ResourceKind string
	// ProfileName names a profile: the authentication model of one API.
	ProfileName string
	// Environment separates credentials of one API, such as "production".
	Environment string
	// Issuer is a token's iss (RFC 7519 § 4.1.1).
	Issuer string
)

// Credits counts the units an organization pays with; never a fraction.
type Credits int64

// Revision orders the mutations of a store: a later one is larger.
type Revision uint64

// Digest is the SHA-256 of a presented credential. Caches and look-ups use it
// in the credential's place, so that a secret never becomes a map key.
type Digest [sha256.Size]byte

// DigestOf digests a presented credential, without copying it.
func DigestOf(credential string) Digest {
	// Sum256 only reads, so the string's own bytes may be lent to it.
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(credential), len(credential)))
}

// String is the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText is the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads hexadecimal of exactly 32 bytes.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return errors.New("a digest is 64 hexadecimal characters")
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Method says how a principal authenticated; the upstream gets it as x-auth-method.
type Method string

// The ways to authenticate.
const (
	// MethodNone is a request on a public route.
	MethodNone Method = "none"
	// MethodAPIKey is a key record of the store.
	MethodAPIKey Method = "api_key"
	// MethodToken is a signed token, Postern's own or another issuer's.
	MethodToken Method = "token"
	// MethodAdminKey is the profile's configured administrator key.
	MethodAdminKey Method = "admin_key"
)

// Key is what a decision needs to know of an API key. A Key is immutable once
// it is handed out: caches share it between requests.
type Key struct {
	ID          KeyID
	Org         OrgID
	User        UserID // who created it; empty for a service key
	Profile     ProfileName
	Environment Environment
	Grants      Grants
	Digest      Digest    // of the whole raw key; zero where only a slow hash is kept
	ExpiresAt   time.Time // zero: never
	RevokedAt   time.Time // zero: not revoked
	Disabled    bool
	Revision    Revision
}

// Organization is what a decision needs to know of a tenant.
type Organization struct {
	ID       OrgID
	Slug     OrgSlug
	Plan     string
	Disabled bool
	Revision Revision
}

// User is what a decision needs to know of a person or service account.
type User struct {
	ID       UserID
	Issuer   Issuer // who vouches for Subject; empty for Postern's own users
	Subject  string // the sub of the user's tokens; for Postern's own users the UserID
	Disabled bool
	// TokensNotBefore refuses every token issued earlier: it moves forward
	// when all tokens of a user are revoked. Zero: no bound.
	TokensNotBefore time.Time
	Revision        Revision
}

// SubjectRef names a user as a token does.
type SubjectRef struct {
	Issuer  Issuer // empty for Postern's own issuer
	Subject string
}

// MembershipRef names the place of a user in an organization.
type MembershipRef struct {
	Org  OrgID
	User UserID
}

// Membership says that a user belongs to an organization, and with which grants.
type Membership struct {
	Org      OrgID
	User     UserID
	Grants   Grants
	Revision Revision
}

// TokenRef names one token: an issuer's jti. The issuer is empty for Postern's own.
type TokenRef struct {
	Issuer Issuer
	ID     TokenID
}

// Token is the store's record of a token that Postern minted, or of a foreign
// token that was revoked here.
type Token struct {
	Ref       TokenRef
	User      UserID    // of a minted one; empty for a foreign token
	RevokedAt time.Time // zero: not revoked
	Revision  Revision
}

// Resource is something an organization owns and a route names.
type Resource struct {
	ID       ResourceID
	Kind     ResourceKind
	Slug     string
	Org      OrgID
	Revision Revision
}

// ResourceRef names a resource as a request does: by slug within an
// organization, or by id. Exactly one of Slug and ID is set.
type ResourceRef struct {
	Org  OrgID
	Kind ResourceKind
	Slug string
	ID   ResourceID
}

// SigningKey is a key that Postern signs tokens with.
type SigningKey struct {
	ID        string      // the kid
	Profile   ProfileName // whose tokens; empty: every profile without one of its own
	Algorithm string      // EdDSA, RS256, ES256 or HS256 (RFC 7518, RFC 8037)
	Private   Secret      // PKCS #8 in base64; for HS256 the secret in base64
	CreatedAt time.Time
	RetiredAt time.Time // zero: in use; later it only verifies
}
