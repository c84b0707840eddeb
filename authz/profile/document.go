package profile

// The types of this file are a profile as it is written. Their tags make the
// decoder, which refuses what it does not know, and the JSON Schema.

// document is one YAML document.
type document struct {
	Profile       string              `yaml:"profile" jsonschema:"required,pattern=^[a-z0-9][a-z0-9-]{0\\,62}$" jsonschema_description:"The profile's name. The name of a preset replaces that preset."`
	Description   string              `yaml:"description" jsonschema_description:"What API this is, for people."`
	Extends       string              `yaml:"extends" jsonschema_description:"The profile this one builds on: maps are merged, lists and scalars replaced, hosts not inherited. Its own name means the preset it replaces."`
	Hosts         []string            `yaml:"hosts" jsonschema_description:"Exact host names in lower case, without a port. No host is served by two profiles."`
	RequireHTTPS  bool                `yaml:"require_https" jsonschema_description:"Refuse what reached the edge by plain HTTP."`
	Environment   string              `yaml:"environment" jsonschema_description:"The environment that credentials must be of, such as production."`
	Credentials   []credentialDoc     `yaml:"credentials" jsonschema_description:"Where a credential may be, in order: the first place that holds one decides."`
	APIKeys       *apiKeysDoc         `yaml:"api_keys" jsonschema_description:"The rules for API keys."`
	Tokens        []issuerDoc         `yaml:"tokens" jsonschema_description:"Whose tokens are accepted, in order."`
	AdminKey      *adminKeyDoc        `yaml:"admin_key" jsonschema_description:"The administrator key."`
	Roles         map[string][]string `yaml:"roles" jsonschema_description:"Role to the permissions it includes."`
	Permissions   methodsDoc          `yaml:"permissions" jsonschema_description:"Method to the permission it asks for. HEAD and OPTIONS ask for GET's unless listed."`
	Organization  *organizationDoc    `yaml:"organization" jsonschema_description:"What binds a request to an organization, unless a route says otherwise."`
	Preflight     bool                `yaml:"preflight" jsonschema_description:"Admit CORS preflights without a credential, unless a route says otherwise."`
	Routes        []routeDoc          `yaml:"routes" jsonschema_description:"What is special about a method and a path. The most specific pattern wins."`
	Upstream      *upstreamDoc        `yaml:"upstream" jsonschema_description:"The names of the headers that tell an upstream who is calling. An empty name sends none."`
	OnOutage      outageDoc           `yaml:"on_store_unavailable" jsonschema_description:"What happens when the store cannot be asked and the caches' lease has ended: deny (the default, a 503), or serve_stale_for a while."`
	RequestID     string              `yaml:"request_id" jsonschema:"pattern=^header [a-z0-9-]+$" jsonschema_description:"header NAME: its value makes a repeated metered request free."`
	KeyManagement *keyManagementDoc   `yaml:"key_management" jsonschema_description:"The key-management API that clients are offered."`
	Answers       answersDoc          `yaml:"answers" jsonschema_description:"What a denial says, by Reason, by family or by default."`
}

// credentialDoc has exactly one of Bearer, Header and Cookie.
type credentialDoc struct {
	Bearer kinds  `yaml:"bearer" jsonschema_description:"Authorization: Bearer, read as this kind."`
	Header string `yaml:"header" jsonschema_description:"A header that holds nothing but the credential."`
	Cookie string `yaml:"cookie" jsonschema_description:"A cookie."`
	As     kinds  `yaml:"as" jsonschema_description:"How the header or cookie is read."`
	Keep   bool   `yaml:"keep" jsonschema_description:"Leave the credential in the request the upstream receives."`
}

// outageDoc is written as deny or as a map.
type outageDoc struct {
	ServeStaleFor string `yaml:"serve_stale_for" jsonschema:"required" jsonschema_description:"How old a record may be to decide by it when nothing can be asked, 24h at most. A revocation waits as long."`
}

// kinds is one kind of credential or a list of them.
type kinds []string

type apiKeysDoc struct {
	Layout      string `yaml:"layout" jsonschema:"enum=opaque,enum=pair" jsonschema_description:"opaque (the default): prefix and base62. pair: base64 of id:secret."`
	Prefix      string `yaml:"prefix" jsonschema:"pattern=^[A-Za-z0-9_-]{1\\,32}$" jsonschema_description:"What an opaque key begins with."`
	Checksum    bool   `yaml:"checksum" jsonschema_description:"An opaque key ends with a checksum, so that a typo is refused without a look-up."`
	Hash        string `yaml:"hash" jsonschema:"enum=sha256,enum=bcrypt" jsonschema_description:"How a key is kept: sha256 (the default), or bcrypt for a pair."`
	MaxLifetime string `yaml:"max_lifetime" jsonschema_description:"The longest life of a new key, such as 8760h. Without it there is no bound."`
}

type issuerDoc struct {
	Issuer            string    `yaml:"issuer" jsonschema:"required" jsonschema_description:"The exact iss, or postern for Postern's own issuer."`
	Audience          string    `yaml:"audience" jsonschema_description:"The audience a token must be for."`
	Audiences         []string  `yaml:"audiences" jsonschema_description:"The audiences of which a token must be for one."`
	AuthorizedParties []string  `yaml:"authorized_parties" jsonschema_description:"The parties of which a token's azp must be one."`
	Algorithms        []string  `yaml:"algorithms" jsonschema:"required,enum=EdDSA,enum=RS256,enum=ES256,enum=HS256" jsonschema_description:"The algorithms allowed; a token has no say. HS256 for postern only."`
	JWKSURL           string    `yaml:"jwks_url" jsonschema_description:"Where another issuer's keys are: https, or http on loopback."`
	JWKSFile          string    `yaml:"jwks_file" jsonschema_description:"A file with another issuer's keys, relative to the profile's file."`
	Leeway            string    `yaml:"leeway" jsonschema_description:"The tolerance for clocks that differ: 0s unless given, 30s at most."`
	MaxLifetime       string    `yaml:"max_lifetime" jsonschema_description:"The longest life of a token that Postern mints."`
	Claims            claimsDoc `yaml:"claims" jsonschema_description:"The claims that hold the facts; a dot descends into an object."`
	Directory         string    `yaml:"directory" jsonschema:"enum=required,enum=trusted" jsonschema_description:"required (the default): the user must be set up in the organization. trusted: the issuer is believed."`
}

type claimsDoc struct {
	Organization     string `yaml:"organization" jsonschema_description:"The organization's id."`
	OrganizationSlug string `yaml:"organization_slug" jsonschema_description:"The organization's slug."`
	User             string `yaml:"user" jsonschema_description:"The user; sub unless given."`
	Permissions      string `yaml:"permissions" jsonschema_description:"Permissions or roles: a list, or one string separated by spaces."`
	Environment      string `yaml:"environment" jsonschema_description:"The environment."`
}

type adminKeyDoc struct {
	Env         string   `yaml:"env" jsonschema:"required,pattern=^[A-Z_][A-Z0-9_]*$" jsonschema_description:"The environment variable that holds the key."`
	Permissions []string `yaml:"permissions" jsonschema_description:"The permissions or roles of its bearer."`
}

// methodsDoc is a permission by method.
type methodsDoc map[string]string

type organizationDoc struct {
	From string `yaml:"from" jsonschema:"required,pattern=^(credential|none|header [a-z0-9-]+|path [a-z_][a-z0-9_]*)$" jsonschema_description:"credential (the default), none, header NAME (its slug), or path VARIABLE (its id; on a route)."`
}

type routeDoc struct {
	Route        string           `yaml:"route" jsonschema:"required,pattern=^([A-Z]+ )?/" jsonschema_description:"[METHOD ]/path/{variable}/{rest...}"`
	Public       bool             `yaml:"public" jsonschema_description:"Ask for no credential."`
	Permission   string           `yaml:"permission" jsonschema_description:"The permission asked for, instead of the method's."`
	Cost         int64            `yaml:"cost" jsonschema:"minimum=1" jsonschema_description:"The credits a request costs."`
	Credentials  []credentialDoc  `yaml:"credentials" jsonschema_description:"Where a credential may be, instead of the profile's list."`
	Organization *organizationDoc `yaml:"organization" jsonschema_description:"What binds the request to an organization, instead of the profile's."`
	Resource     *resourceDoc     `yaml:"resource" jsonschema_description:"A resource that must be the organization's."`
	Resources    []resourceDoc    `yaml:"resources" jsonschema_description:"Several such resources."`
	Upgrade      bool             `yaml:"upgrade" jsonschema_description:"Admit websocket and other upgrades."`
	Preflight    *bool            `yaml:"preflight" jsonschema_description:"Admit CORS preflights without a credential, or not."`
	Answers      answersDoc       `yaml:"answers" jsonschema_description:"What a denial says on this route; asked before the profile's."`
}

// resourceDoc has exactly one of Slug and ID.
type resourceDoc struct {
	Kind     string `yaml:"kind" jsonschema:"required" jsonschema_description:"The family of resources, such as project."`
	Slug     string `yaml:"slug" jsonschema:"pattern=^query .+$" jsonschema_description:"query NAME: the parameter with its slug."`
	ID       string `yaml:"id" jsonschema:"pattern=^path [a-z_][a-z0-9_]*$" jsonschema_description:"path VARIABLE: the variable with its id."`
	Required bool   `yaml:"required" jsonschema_description:"Refuse a request that lacks the parameter."`
	Inject   string `yaml:"inject" jsonschema_description:"The header that tells an upstream the resource's id."`
}

type upstreamDoc struct {
	OrgID       *string `yaml:"org_id" jsonschema_description:"x-org-id unless given."`
	OrgSlug     *string `yaml:"org_slug" jsonschema_description:"x-org-slug unless given."`
	UserID      *string `yaml:"user_id" jsonschema_description:"x-user-id unless given."`
	KeyID       *string `yaml:"key_id" jsonschema_description:"x-key-id unless given."`
	Permissions *string `yaml:"permissions" jsonschema_description:"x-permissions unless given."`
	AuthMethod  *string `yaml:"auth_method" jsonschema_description:"x-auth-method unless given."`
}

type keyManagementDoc struct {
	Organization string   `yaml:"organization" jsonschema:"required" jsonschema_description:"The slug of the organization that new keys belong to."`
	MaxActive    int64    `yaml:"max_active" jsonschema:"minimum=0" jsonschema_description:"The most active keys at a time; 0 or absent: no limit."`
	Roles        []string `yaml:"roles" jsonschema_description:"The roles a key may have."`
	DefaultRole  string   `yaml:"default_role" jsonschema_description:"The role of a key made without any."`
}

// answersDoc is an answer by Reason, family or "default".
type answersDoc map[string]answerDoc

type answerDoc struct {
	Status  int64             `yaml:"status" jsonschema:"enum=400,enum=401,enum=402,enum=403,enum=404,enum=405,enum=413,enum=429,enum=431,enum=500,enum=503" jsonschema_description:"The HTTP status; not for default."`
	JSON    *tree             `yaml:"json" jsonschema_description:"The body, an object; keys keep their order."`
	Headers map[string]string `yaml:"headers" jsonschema_description:"Further headers, by lower-case name."`
	Message string            `yaml:"message" jsonschema:"maxLength=200" jsonschema_description:"The text of {{.Message}}, and all that a gRPC client is told."`
}
