// Package profile turns the description of an API's authentication model, a
// YAML document, into the immutable matchers and pre-rendered answers a decision
// uses. Everything is compiled at load: a decision interprets no YAML, template
// or regular expression. It knows no store, cache or transport.
package profile

import (
	"time"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/reason"
)

// Profile is the compiled authentication model of one API. It is immutable and
// safe for concurrent use.
type Profile struct {
	Name        identity.ProfileName
	Description string
	// Hosts are the exact host names it serves, lower case, without a port.
	Hosts []string
	// RequireHTTPS refuses what reached the edge by plain HTTP.
	RequireHTTPS bool
	// Environment, where set, is the one its credentials must be of.
	Environment identity.Environment
	// Credentials are the ordered sources; the first one present decides.
	Credentials []credential.Source
	// Keys are the rules for its API keys; nil: it has none.
	Keys *KeyRules
	// Issuers are whose tokens it accepts, in order; empty: none.
	Issuers []Issuer
	// AdminKeyEnv names the environment variable with the administrator key;
	// empty: there is none.
	AdminKeyEnv string
	// AdminGrants are the grants of the administrator key.
	AdminGrants identity.Grants
	// KeyManagement describes the key-management API the profile offers to its
	// clients; nil: none.
	KeyManagement *KeyManagement
	// Upstream names the headers an upstream receives.
	Upstream Upstream
	// ServeStaleFor is how old a record may be to decide by it when the store
	// cannot be asked; 0: such requests are denied as unavailable.
	ServeStaleFor time.Duration
	// RequestIDHeader, where set, names the header whose value makes a repeated
	// metered request free; the upstream must honour it too.
	RequestIDHeader string
	// Declared are the header names a decision reads, lower case, sorted.
	Declared []string

	methods   [methodCount]string // permissions by method
	roles     map[string][]string // role → permissions; nil: there are none
	effective *expansion          // of grants by roles
	router    *router
	fallback  *Route
	answers   *answers
}

// KeyRules are the rules for a profile's API keys.
type KeyRules struct {
	credential.Format
	// MaxLifetime bounds the life of a new key; 0: no bound.
	MaxLifetime time.Duration
}

// Directory says whether a token's user must be known to the store.
type Directory string

// The ways to treat the user and the organization a token names.
const (
	// DirectoryRequired refuses a user who is not set up in the organization.
	DirectoryRequired Directory = "required"
	// DirectoryTrusted believes the issuer; a record in the store that says
	// otherwise (disabled, tokens withdrawn) still counts.
	DirectoryTrusted Directory = "trusted"
)

// Issuer is one party whose tokens a profile accepts (RFC 7519, RFC 8725).
type Issuer struct {
	// Own marks Postern's own issuer: it signs with the store's signing keys.
	Own bool
	// Name is the exact iss; for Own the server's configured issuer is used.
	Name identity.Issuer
	// Audiences: the token's aud must hold one of them. Never empty unless
	// AuthorizedParties is set.
	Audiences []string
	// AuthorizedParties: where set, the token's azp must be one of them.
	AuthorizedParties []string
	// Algorithms are the allowed ones; the token has no say. Never empty.
	Algorithms []string
	// JWKSURL or JWKSFile is where a foreign issuer's keys are.
	JWKSURL  string
	JWKSFile string
	// Leeway for exp, nbf and iat, 30 s at most.
	Leeway time.Duration
	// MaxLifetime bounds the life of a token that Postern mints; 0: no bound.
	MaxLifetime time.Duration
	// Claims names where the facts are.
	Claims Claims
	// Directory says whether the store must know the user.
	Directory Directory
}

// Claims names the claims of a token; a dot descends into an object
// ("realm_access.roles"). Empty: the fact is not taken from the token.
type Claims struct {
	Organization     string // the organization's id
	OrganizationSlug string
	User             string // "sub" unless set
	Permissions      string // a list of strings, or one string separated by spaces
	Environment      string
}

// OrganizationFrom says what binds a request to an organization.
type OrganizationFrom uint8

// The bindings of a request to an organization.
const (
	// OrgFromCredential takes the credential's own: a key's, or a token's claim.
	OrgFromCredential OrganizationFrom = iota
	// OrgFromHeader: the header names the slug; the credential must belong to it.
	OrgFromHeader
	// OrgFromPath: the path variable must be the credential's organization id, byte for byte.
	OrgFromPath
	// OrgNone: no organization is asked for.
	OrgNone
)

// OrganizationRule binds a request to an organization.
type OrganizationRule struct {
	From OrganizationFrom
	Name string // of the header (lower case) or the path variable
}

// ResourceRule names a resource in the request that must be the organization's.
type ResourceRule struct {
	Kind  identity.ResourceKind
	Query string // the query parameter with the slug, or
	Path  string // the path variable with the id
	// Required refuses a request that lacks the query parameter.
	Required bool
	// Inject is the header that carries the resolved id to the upstream.
	Inject string
}

// Route is what a method and a path ask for. The fallback route of a profile has
// Pattern "" and asks for a credential and the method's permission.
type Route struct {
	Pattern      string // as written, for logs and metrics
	Public       bool
	Permission   string // empty: none asked for
	Cost         identity.Credits
	Credentials  []credential.Source
	Organization OrganizationRule
	Resources    []ResourceRule
	// AllowUpgrade admits websocket and other upgrades.
	AllowUpgrade bool
	// AllowPreflight admits CORS preflights without a credential.
	AllowPreflight bool
	// Method is the pattern's, empty for all.
	Method string

	pattern pattern
	answers *answers // nil: the profile's
}

// KeyManagement is the client-facing key API of a profile (arthur-engine's /auth/api_keys).
type KeyManagement struct {
	Organization identity.OrgSlug // that new keys belong to
	MaxActive    int              // 0: no limit
	Roles        []string         // that a key may have
	DefaultRole  string
}

// Upstream names the headers that carry the identity; an empty name sends none.
type Upstream struct {
	OrgID, OrgSlug, UserID, KeyID, Permissions, Method string
	// Protected are all names a client must not set: the ones above, every
	// Inject, the credentials of every source, and the fixed list. Lower case.
	Protected []string
	// Cookies are the names of the credential cookies of every source that does
	// not keep its credential: they are taken out of the Cookie header.
	Cookies []string
}

// Header is a name in lower case and a validated value.
type Header struct{ Name, Value string }

// Answer is the complete, pre-rendered denial of one Reason.
type Answer struct {
	Reason  reason.Reason
	Status  int
	Headers []Header // content-type first
	Body    string
	// GRPCStatus and GRPCMessage answer a client that speaks gRPC.
	GRPCStatus  int
	GRPCHeaders []Header
	GRPCMessage string
}
