// Package credential finds the credential in a request, tells what kind it is by
// its shape, and mints, parses and verifies API keys. It is pure: no store, no
// clock of its own, and a shape that cannot be valid is refused without any I/O.
package credential

// Field is a received header field: its name in lower case and its value. Both
// may be views of the request's own bytes and must not be kept beyond the call.
type Field struct{ Name, Value string }

// Place says where a credential is looked for.
type Place uint8

// The places of a credential.
const (
	InBearer Place = iota // Authorization: Bearer … (RFC 6750 § 2.1)
	InHeader              // a header of its own
	InCookie              // a cookie (RFC 6265)
)

// Kind says how a credential is read; a bit set, because one source may accept
// several and the shape of what was sent picks one.
type Kind uint8

// The kinds of credential.
const (
	AdminKey Kind = 1 << iota
	APIKey
	Token
)

// Source is one place where a credential may be.
type Source struct {
	Place  Place
	Name   string // the header in lower case ("authorization" for a bearer), or the cookie
	Accept Kind
	// Keep leaves the credential in the request that the upstream receives.
	Keep bool
}

// Layout is the shape of a raw API key.
type Layout uint8

// The layouts of a raw key.
const (
	// Opaque is prefix + base62 of 32 random bytes (43 characters), and with a
	// checksum 6 base62 characters of the CRC-32 of all that precedes them.
	Opaque Layout = iota
	// Pair is the canonical padded standard base64 (RFC 4648 § 4) of
	// "{uuid version 4}:{43 base62 characters}".
	Pair
)

// HashKind is how a newly minted key is kept.
type HashKind string

// The hashes of a key at rest. Imported records may also be argon2id.
const (
	SHA256 HashKind = "sha256" // of the whole raw key, looked up by digest
	Bcrypt HashKind = "bcrypt" // cost 9, of the secret of a Pair, looked up by id
)

// Format is how the API keys of one profile look and how they are kept.
type Format struct {
	Layout   Layout
	Prefix   string // of Opaque
	Checksum bool   // of Opaque
	Hash     HashKind
}
