// Package reason is the closed set of outcomes of a decision. A profile maps
// every denial to an answer; the true Reason always goes to the decision log,
// the metrics and the dynamic metadata, whatever the client is told.
package reason

// Reason says why a request was allowed or denied.
type Reason uint8

// The Reasons, in the order of the checks that find them.
const (
	// Unset is the zero value: no decision yet. It never leaves the engine.
	Unset Reason = iota
	// Allowed: every check passed.
	Allowed
	// Public: the route asks for no credential.
	Public
	// Internal: a fault of Postern's own; fails closed.
	Internal
	// NoProfile: no profile serves this host.
	NoProfile
	// BadRequest: the path gate or the query parser refused the request, or it
	// is an upgrade that its route does not allow.
	BadRequest
	// MethodNotAllowed: a method outside the known set.
	MethodNotAllowed
	// HTTPSRequired: the request reached the edge by plain HTTP.
	HTTPSRequired
	// MissingCredential: none of the profile's sources is present.
	MissingCredential
	// MalformedCredential: present, but not in a shape that could be valid.
	MalformedCredential
	// InvalidCredential: unknown, wrong secret, bad signature, wrong issuer or audience.
	InvalidCredential
	// Revoked: valid once, withdrawn since.
	Revoked
	// Disabled: switched off, and may be switched on again.
	Disabled
	// Expired: past its lifetime.
	Expired
	// WrongEnvironment: of another environment, such as staging in production.
	WrongEnvironment
	// NoOrganization: the principal has none, or is not set up in it.
	NoOrganization
	// OrganizationDisabled: the organization is switched off.
	OrganizationDisabled
	// WrongOrganization: the principal's is not the one addressed.
	WrongOrganization
	// ResourceNotFound: the addressed resource exists nowhere.
	ResourceNotFound
	// ResourceForeign: the addressed resource is another organization's.
	ResourceForeign
	// Forbidden: the permission is missing.
	Forbidden
	// InsufficientCredits: the balance does not cover the cost.
	InsufficientCredits
	// Unavailable: a dependency could not be asked; nothing is known.
	Unavailable
	// Overloaded: refused to protect the requests under way.
	Overloaded

	count
)

type fact struct {
	name    string
	status  int
	message string
}

// The default status and message of each Reason; a profile may answer otherwise.
var facts = [count]fact{
	Unset:                {"unset", 500, "Internal error"},
	Allowed:              {"allowed", 200, "OK"},
	Public:               {"public", 200, "OK"},
	Internal:             {"internal", 500, "Internal error"},
	NoProfile:            {"no_profile", 403, "No API is served at this address"},
	BadRequest:           {"bad_request", 400, "The request is malformed"},
	MethodNotAllowed:     {"method_not_allowed", 405, "Method not allowed"},
	HTTPSRequired:        {"https_required", 403, "HTTPS is required"},
	MissingCredential:    {"missing_credential", 401, "Authentication credentials were not provided"},
	MalformedCredential:  {"malformed_credential", 401, "The credential is malformed"},
	InvalidCredential:    {"invalid_credential", 401, "The credential is invalid"},
	Revoked:              {"revoked", 401, "The credential was revoked"},
	Disabled:             {"disabled", 401, "The credential is disabled"},
	Expired:              {"expired", 401, "The credential has expired"},
	WrongEnvironment:     {"wrong_environment", 401, "The credential belongs to another environment"},
	NoOrganization:       {"no_organization", 403, "The caller has no organization"},
	OrganizationDisabled: {"organization_disabled", 403, "The organization is disabled"},
	WrongOrganization:    {"wrong_organization", 403, "The organization is not the caller's"},
	ResourceNotFound:     {"resource_not_found", 404, "The resource does not exist"},
	ResourceForeign:      {"resource_foreign", 403, "The resource belongs to another organization"},
	Forbidden:            {"forbidden", 403, "Permission denied"},
	InsufficientCredits:  {"insufficient_credits", 402, "Insufficient credits"},
	Unavailable:          {"unavailable", 503, "Authentication is temporarily unavailable"},
	Overloaded:           {"overloaded", 503, "Too many requests are waiting, try again"},
}

// String is the Reason's name in configuration, logs and metrics.
func (r Reason) String() string { return r.fact().name }

// Status is the HTTP status a denial has unless its profile says otherwise.
func (r Reason) Status() int { return r.fact().status }

// Message is the public sentence a denial has unless its profile says otherwise.
func (r Reason) Message() string { return r.fact().message }

// Allows reports whether the Reason is an allow.
func (r Reason) Allows() bool { return r == Allowed || r == Public }

func (r Reason) fact() fact {
	if r >= count {
		r = Internal
	}
	return facts[r]
}

// Denials lists every Reason a profile must answer, in order.
func Denials() []Reason {
	denials := make([]Reason, 0, count)
	for r := Internal; r < count; r++ {
		denials = append(denials, r)
	}
	return denials
}

// All lists every Reason that may leave the engine, in order.
func All() []Reason { return append([]Reason{Allowed, Public}, Denials()...) }

// Parse finds a Reason by its name.
func Parse(name string) (Reason, bool) {
	for r := Allowed; r < count; r++ {
		if facts[r].name == name {
			return r, true
		}
	}
	return Unset, false
}
