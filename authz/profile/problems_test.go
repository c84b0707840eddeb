package profile_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"postern/authz/profile"
)

// TestAProblemNamesLineFieldAndRemedy appends fields to the minimal profile, which
// has three lines: line 4 is the first of what is appended.
func TestAProblemNamesLineFieldAndRemedy(t *testing.T) {
	const tokens = "tokens:\n  - { issuer: https://id.example, audience: a, algorithms: [RS256], jwks_url: https://id.example/keys%s }"
	token := func(more string) string { return strings.Replace(tokens, "%s", more, 1) }
	for name, tt := range map[string]struct{ fields, want string }{
		"an unknown field":                   {"colour: red", "api.yaml:4: colour: is not a field here; known are profile, description"},
		"an unknown field of a route":        {"routes:\n  - route: /x\n    colour: red", "api.yaml:6: routes[0].colour: is not a field here; known are route"},
		"a field given twice":                {"hosts: [a]\nhosts: [b]", "api.yaml:5: hosts: is given twice; remove one"},
		"text for a list":                    {"hosts: api.example", `api.yaml:4: hosts: must be a list, not "api.example"`},
		"a number for text":                  {"environment: 5", `api.yaml:4: environment: is "5" and must be text; quote it`},
		"text for a number":                  {"routes: [{ route: /x, cost: many }]", `api.yaml:4: routes[0].cost: is "many" and must be a whole number`},
		"text for a flag":                    {"preflight: often", `api.yaml:4: preflight: is "often" and must be true or false`},
		"a list for a map":                   {"upstream: [a]", "api.yaml:4: upstream: must be a map of fields, not a list"},
		"a merge key":                        {"upstream: { <<: { org_id: x-o } }", "api.yaml:4: a key must be plain text; instead of << use extends"},
		"broken YAML":                        {"hosts: [a", ": is no YAML: did not find expected"},
		"an endless alias":                   {"answers: &a\n  forbidden: { json: { a: *a } }", "is nested more than 64 deep; write it flatter"},
		"aliases of aliases":                 {"answers:\n  forbidden:\n    json:\n      a0: &a0 [1, 2]\n" + bomb(), "has more than 100000 values; write it shorter"},
		"a host with a port":                 {"hosts: ['api.example:443']", `api.yaml:4: hosts[0]: "api.example:443" must be written as it is compared: "api.example"`},
		"a host in upper case":               {"hosts: [Api.Example]", `must be written as it is compared: "api.example"`},
		"a host with a scheme":               {"hosts: ['https://api.example/']", "is no host name; leave out the scheme and the path"},
		"a wildcard host":                    {"hosts: ['*.example']", "is a wildcard; list each host"},
		"a host twice":                       {"hosts: [a.example, a.example]", `hosts[1]: "a.example" is listed twice; remove one`},
		"an empty credentials list":          {"routes:\n  - route: /x\n    credentials: []", "api.yaml:6: routes[0].credentials: is empty, so no request could pass"},
		"a source of two places":             {"routes: [{ route: /x, credentials: [{ bearer: api_key, cookie: c }] }]", "routes[0].credentials[0]: must have exactly one of bearer, header and cookie"},
		"a source without a kind":            {"routes: [{ route: /x, credentials: [{ header: x-key }] }]", "routes[0].credentials[0].as: is missing; say how it is read"},
		"an unknown kind":                    {"routes: [{ route: /x, credentials: [{ bearer: password }] }]", `has the unknown kind "password"; use api_key, token or admin_key`},
		"a kind that is not described":       {"routes: [{ route: /x, credentials: [{ bearer: token }] }]", "reads a token, but there is no tokens; list the issuers there"},
		"an admin key that is not described": {"routes: [{ route: /x, credentials: [{ bearer: admin_key }] }]", "reads an admin_key, but there is no admin_key; describe it there"},
		"one place twice":                    {"routes: [{ route: /x, credentials: [{ bearer: api_key }, { bearer: api_key }] }]", "credentials[1]: is the same place as an earlier entry, which decides"},
		"as beside bearer":                   {"routes: [{ route: /x, credentials: [{ bearer: api_key, as: token }] }]", "as: belongs to header or cookie"},
		"authorization as a header":          {"routes: [{ route: /x, credentials: [{ header: authorization, as: api_key }] }]", "authorization carries a scheme; use bearer"},
		"a credential header in upper case":  {"routes: [{ route: /x, credentials: [{ header: X-Key, as: api_key }] }]", `must be in lower case, as "x-key"`},
		"a credential in the host":           {"routes: [{ route: /x, credentials: [{ header: host, as: api_key }] }]", "belongs to the connection, and no profile may touch it"},
		"a cookie with a blank":              {"routes: [{ route: /x, credentials: [{ cookie: a b, as: api_key }] }]", `"a b" is no cookie name`},

		"an unknown issuer's keys missing": {"tokens: [{ issuer: x, audience: a, algorithms: [RS256] }]", "tokens[0].jwks_url: is missing; say where the issuer's keys are"},
		"two places of keys":               {token(", jwks_file: k.json"), "tokens[0].jwks_file: is given beside jwks_url; use one of them"},
		"keys over plain http":             {strings.Replace(token(""), "jwks_url: https", "jwks_url: http", 1), "api.yaml:5: tokens[0].jwks_url: \"http://id.example/keys\" must be https"},
		"keys at no URL":                   {strings.Replace(token(""), "jwks_url: https://id.example/keys", "jwks_url: keys", 1), `"keys" is no plain URL`},
		"keys at a URL with a password":    {strings.Replace(token(""), "jwks_url: https://", "jwks_url: https://u:p@", 1), "is no plain URL"},
		"no issuer":                        {"tokens: [{ audience: a, algorithms: [EdDSA], jwks_file: k }]", "tokens[0].issuer: is missing"},
		"an issuer twice":                  {"tokens: [{ issuer: postern, audience: a, algorithms: [EdDSA] }, { issuer: postern, audience: b, algorithms: [EdDSA] }]", `tokens[1].issuer: "postern" is listed twice`},
		"no audience":                      {"tokens: [{ issuer: postern, algorithms: [EdDSA] }]", "tokens[0].audience: is missing, so a token for another API would pass"},
		"audience and audiences":           {"tokens: [{ issuer: postern, audience: a, audiences: [b], algorithms: [EdDSA] }]", "tokens[0].audience: is given beside audiences"},
		"an empty audience":                {"tokens: [{ issuer: postern, audiences: [''], algorithms: [EdDSA] }]", "tokens[0].audiences: has an empty entry"},
		"an empty party":                   {token(", authorized_parties: ['']"), "tokens[0].authorized_parties: has an empty entry"},
		"no algorithms":                    {"tokens: [{ issuer: postern, audience: a }]", "tokens[0].algorithms: is missing, and a token must not choose"},
		"the algorithm none":               {"tokens: [{ issuer: postern, audience: a, algorithms: [none] }]", `tokens[0].algorithms[0]: "none" is not supported; use EdDSA, RS256, ES256, HS256`},
		"HS256 with another's issuer":      {strings.Replace(token(""), "RS256", "HS256", 1), "HS256 would share this issuer's secret"},
		"Postern's own with a key set":     {"tokens: [{ issuer: postern, audience: a, algorithms: [EdDSA], jwks_file: k }]", "postern signs with its own keys"},
		"a leeway too long":                {token(", leeway: 31s"), `tokens[0].leeway: "31s" is more than 30s`},
		"a leeway that is none":            {token(", leeway: soon"), `tokens[0].leeway: "soon" is no duration; write it as 30s`},
		"a negative lifetime":              {"tokens: [{ issuer: postern, audience: a, algorithms: [EdDSA], max_lifetime: -1h }]", `max_lifetime: "-1h" is no duration`},
		"a lifetime of another's tokens":   {token(", max_lifetime: 1h"), "max_lifetime: bounds what Postern mints"},
		"a claim with an empty part":       {token(", claims: { permissions: realm..roles }"), `tokens[0].claims.permissions: "realm..roles" has an empty part`},
		"an unknown directory":             {token(", directory: maybe"), `tokens[0].directory: "maybe" is unknown; use required or trusted`},

		"an admin key by a bad name":     {"admin_key: { env: my-key }", `admin_key.env: "my-key" is no name of an environment variable`},
		"a permission with a comma":      {"admin_key: { env: KEY, permissions: ['a,b'] }", "admin_key.permissions[0]: must be visible ASCII without a comma or a blank"},
		"an empty permission":            {"routes: [{ route: /x, permission: ' ' }]", "routes[0].permission: must be visible ASCII"},
		"a permission too long":          {"roles: { r: [" + strings.Repeat("x", 65) + "] }", "roles.r[0]: is longer than 64 bytes"},
		"a role in a role":               {"roles: { a: [read], b: [a] }", `roles.b[0]: "a" is a role; list its permissions instead`},
		"a role asked for":               {"roles: { a: [read] }\nroutes: [{ route: /x, permission: a }]", `routes[0].permission: "a" is a role; ask for a permission that it includes`},
		"an unknown method":              {"permissions: { FETCH: read }", "permissions.FETCH: is not a method; use GET, HEAD"},
		"a method forgotten":             {"permissions: { GET: r, POST: w, PUT: w, DELETE: d }", "permissions: PATCH is not listed, so any credential could PATCH; add it"},
		"an unknown role for new keys":   {"key_management: { organization: o, roles: [x] }", `key_management.roles[0]: "x" is not in roles; define it there`},
		"an unknown default role":        {"roles: { a: [r] }\nkey_management: { organization: o, roles: [a], default_role: b }", `default_role: "b" is not in key_management.roles`},
		"keys of no organization":        {"key_management: {}", "key_management.organization: is missing"},
		"a negative limit":               {"key_management: { organization: o, max_active: -1 }", "max_active: must be from 0"},
		"a request id that is no header": {"request_id: idempotency-key", `request_id: "idempotency-key" must be written as header NAME`},

		"an upstream name that frames":         {"upstream: { org_id: content-length }", "upstream.org_id: belongs to the connection"},
		"an upstream name that is pseudo":      {"upstream: { org_id: ':path' }", "upstream.org_id: is a pseudo-header"},
		"an upstream name of the proxy":        {"upstream: { org_id: x-envoy-original-path }", "upstream.org_id: is not a name a profile may set; use one of its own that begins with x-"},
		"an upstream name of its own":          {"upstream: { org_id: authorization }", "upstream.org_id: is not a name a profile may set"},
		"an upstream name in upper case":       {"upstream: { org_id: X-Org }", `upstream.org_id: must be in lower case, as "x-org"`},
		"an upstream name twice":               {"upstream: { org_id: x-who, user_id: x-who }", `upstream.user_id: "x-who" also carries org_id; use a name for each`},
		"an upstream name that splits":         {"upstream: { org_id: \"x-a\\r\\nb\" }", "upstream.org_id: is no header name"},
		"an upstream name that is default":     {"upstream: { org_id: x-user-id }", `upstream.user_id: "x-user-id" also carries org_id`},
		"an injected name of the identity":     {"routes: [{ route: '/p/{id}', resource: { kind: p, id: path id, inject: x-org-id } }]", `resource.inject: "x-org-id" already carries the identity`},
		"an injected name of a credential":     {"routes: [{ route: '/p/{id}', credentials: [{ header: x-key, as: api_key }], resource: { kind: p, id: path id, inject: x-key } }]", `resource.inject: "x-key" is where a credential is read`},
		"an injected name twice":               {"routes: [{ route: '/p/{id}', resources: [{ kind: p, id: path id, inject: x-p }, { kind: q, slug: query q, inject: x-p }] }]", `routes[0].resources: inject "x-p" twice`},
		"a connection header in an answer":     {"answers: { forbidden: { headers: { transfer-encoding: chunked } } }", "answers.forbidden.headers.transfer-encoding: belongs to the connection"},
		"a gRPC header in an answer":           {"answers: { forbidden: { headers: { grpc-status: '0' } } }", "headers.grpc-status: is not a name an answer may set"},
		"a header value that splits":           {"answers: { forbidden: { headers: { x-a: \"b\\r\\nset-cookie: c\" } } }", "headers.x-a: has a byte that is not visible ASCII"},
		"a header value beyond ASCII":          {"answers: { forbidden: { headers: { x-a: é } } }", "headers.x-a: has a byte that is not visible ASCII"},
		"a long sleep for clients":             {"answers: { overloaded: { headers: { retry-after: '3600' } } }", `"3600" must be 0 to 60 seconds`},
		"a status of success":                  {"answers: { forbidden: { status: 200 } }", "answers.forbidden.status: 200 is not a status for a denial; use one of 400 401 402"},
		"a redirect":                           {"answers: { unauthenticated: { status: 302 } }", "302 is not a status for a denial"},
		"a status of 0":                        {"answers: { unauthenticated: { status: 0 } }", "0 is not a status for a denial"},
		"a status for all":                     {"answers: { default: { status: 403 } }", "answers.default.status: would hide what kind of denial it is"},
		"an outage blamed on the client":       {"answers: { unavailable: { status: 401 } }", "401 would blame the client while nothing is known; use 429, 500 or 503"},
		"an unknown Reason":                    {"answers: { sunburnt: {} }", "answers.sunburnt: is neither a Reason nor a family; families are unauthenticated"},
		"an answer to an allow":                {"answers: { allowed: {} }", "answers.allowed: is no denial"},
		"a body that is no object":             {"answers: { forbidden: { json: [1] } }", "answers.forbidden.json: must be an object"},
		"an unknown placeholder":               {"answers: { forbidden: { json: { a: '{{.Path}}' } } }", "answers.forbidden.json.a: has an unknown placeholder; there are {{.Code}}"},
		"a placeholder in a message":           {"answers: { forbidden: { message: '{{.Reason}}' } }", "answers.forbidden.message: must be at most 200 bytes of visible ASCII without a placeholder"},
		"a number JSON does not have":          {"answers: { forbidden: { json: { a: [.inf] } } }", "answers.forbidden.json.a[0]: is the number .inf, which JSON does not have; quote it"},
		"a type JSON does not have":            {"answers: { forbidden: { json: { a: !!binary aGk= } } }", "has the type !!binary, which JSON does not have"},
		"a bad answer of a route":              {"routes:\n  - route: /x\n    answers:\n      forbidden: { status: 200 }", "api.yaml:7: routes[0].answers.forbidden.status: 200"},
		"an opaque key without a prefix":       {"---\nprofile: b\ncredentials: [{ bearer: api_key }]\napi_keys: {}", "api.yaml:7: api_keys.prefix: is missing; give opaque keys a prefix"},
		"a prefix with a dot":                  {"---\nprofile: b\ncredentials: [{ bearer: api_key }]\napi_keys: { prefix: a.b }", `api_keys.prefix: "a.b" must be 1 to 32 letters`},
		"a pair with a prefix":                 {"---\nprofile: b\ncredentials: [{ bearer: api_key }]\napi_keys: { layout: pair, prefix: a }", "api_keys.layout: pair has neither a prefix nor a checksum"},
		"bcrypt without an id":                 {"---\nprofile: b\ncredentials: [{ bearer: api_key }]\napi_keys: { prefix: a, hash: bcrypt }", "api_keys.hash: bcrypt needs the id of a pair"},
		"an unknown layout":                    {"---\nprofile: b\ncredentials: [{ bearer: api_key }]\napi_keys: { layout: round }", `api_keys.layout: "round" is unknown`},
		"an unknown hash":                      {"---\nprofile: b\ncredentials: [{ bearer: api_key }]\napi_keys: { prefix: a, hash: md5 }", `api_keys.hash: "md5" is unknown`},
		"key management without keys":          {"---\nprofile: b\ncredentials: [{ bearer: token }]\ntokens: [{ issuer: postern, audience: a, algorithms: [EdDSA] }]\nkey_management: { organization: o }", "key_management: needs api_keys"},
		"a profile without credentials":        {"---\nprofile: b", "api.yaml:5: credentials: is empty, so no request could pass; list where the credential is"},
		"a document without a name":            {"---\nhosts: [a]", `api.yaml:5: profile: "" is no name`},
		"a name in upper case":                 {"---\nprofile: B", `profile: "B" is no name`},
		"a document that is no map":            {"---\n- profile", "api.yaml:5: must be a map of fields, not a list"},
		"a name twice":                         {"---\nprofile: api", `api.yaml:5: profile: "api" is also in`},
		"an unknown base":                      {"---\nprofile: b\nextends: nobody", `api.yaml:6: extends: "nobody" is not loaded; there are api, artanis`},
		"a base of its own name":               {"---\nprofile: b\nextends: b", `extends: "b" names the profile itself, and no preset has that name`},
		"a circle":                             {"---\nprofile: b\nextends: c\n---\nprofile: c\nextends: b", "extends: goes round in a circle"},
		"a host of two profiles":               {"hosts: [a.example]\n---\nprofile: b\nextends: api\nhosts: [a.example]", `api.yaml:8: hosts: "a.example" is also served by the profile api`},
		"a problem of what is extended":        {"colour: red\n---\nprofile: b\nextends: api\n", "api.yaml:4: colour: is not a field here"},
		"an organization from somewhere":       {"organization: { from: cookie }", `organization.from: "cookie" is unknown; use credential, none, header NAME or path VARIABLE`},
		"an organization from no header":       {"organization: { from: header X }", `organization.from: must be in lower case`},
		"a profile's organization from a path": {"organization: { from: path id }", "organization.from: the path of a request has no variables but on a route"},
		"an organization from no variable":     {"routes: [{ route: '/x/{id}', organization: { from: path org } }]", "organization.from: the route has no variable {org}"},
		"an organization from a rest":          {"routes: [{ route: '/x/{rest...}', organization: { from: path rest } }]", "organization.from: the route has no variable {rest}"},
	} {
		t.Run(name, func(t *testing.T) { expectProblem(t, tt.fields, tt.want) })
	}
}

func TestARouteThatCannotMeanWhatItSaysIsRefused(t *testing.T) {
	for name, tt := range map[string]struct{ routes, want string }{
		"an unknown method":          {"{ route: FETCH /x }", `"FETCH /x" has the unknown method "FETCH"`},
		"a method in lower case":     {"{ route: get /x }", `has the unknown method "get"`},
		"no path":                    {"{ route: x }", "must be a path that begins with /"},
		"no route":                   {"{ public: true }", "routes[0].route: \"\" must be a path"},
		"an empty segment":           {"{ route: /x//y }", "has an empty segment; write single slashes"},
		"a dot segment":              {"{ route: /x/../y }", `has the segment "..", which no request may have`},
		"an escape":                  {"{ route: /x%2F }", `has the segment "x%2F"; a literal holds letters`},
		"a tilde":                    {"{ route: /~x }", `has the segment "~x"`},
		"a variable in a segment":    {"{ route: '/x/v{id}' }", "and a variable is a whole segment"},
		"a variable without a name":  {"{ route: '/x/{}' }", `has the variable name ""`},
		"a variable in upper case":   {"{ route: '/x/{Id}' }", `has the variable name "Id"; use lower-case letters`},
		"a variable twice":           {"{ route: '/{id}/{id}' }", `has the variable "id" twice`},
		"too many variables":         {"{ route: '/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}' }", "has more than 8 variables"},
		"something after a rest":     {"{ route: '/{rest...}/x' }", "has something after {rest...}; it must be the last"},
		"a slash after a rest":       {"{ route: '/x/{rest...}/' }", "has a slash after the last variable"},
		"the same route twice":       {"{ route: '/x/{id}' }, { route: '/x/{name}' }", `api.yaml:4: routes[1].route: "/x/{name}" and "/x/{id}" (line 4) match the same request and neither is the more specific`},
		"routes that cross":          {"{ route: '/x/{id}' }, { route: '/{id}/y' }", "neither is the more specific"},
		"routes crossed by a method": {"{ route: 'GET /x/{id}' }, { route: /x/y }", "neither is the more specific"},
		"routes crossed by a slash":  {"{ route: '/x/{id}/' }, { route: '/{id}/y' }", "neither is the more specific"},
		"literals of two cases":      {"{ route: /x/Jobs }, { route: /x/jobs/y }", `differ in nothing but case, which an upstream may fold`},
		"a negative cost":            {"{ route: /x, cost: -1 }", "routes[0].cost: must be positive"},
		"a cost of nothing":          {"{ route: /x, cost: 0 }", "routes[0].cost: must be positive; leave it out where nothing is charged"},
		"a cost nobody bears":        {"{ route: /x, cost: 1, organization: { from: none } }", "routes[0].cost: has no organization to charge"},
		"a resource of nobody":       {"{ route: '/x/{id}', organization: { from: none }, resource: { kind: p, id: path id } }", "has no organization to belong to"},
		"a public cost":              {"{ route: /x, public: true, cost: 1 }", "routes[0].cost: has no effect on a public route"},
		"a public permission":        {"{ route: /x, public: true, permission: p }", "routes[0].permission: has no effect on a public route"},
		"a public resource":          {"{ route: '/x/{id}', public: true, resource: { kind: p, id: path id } }", "routes[0].resource: has no effect on a public route"},
		"a public organization":      {"{ route: /x, public: true, organization: { from: none } }", "routes[0].organization: has no effect on a public route"},
		"public credentials":         {"{ route: /x, public: true, credentials: [{ bearer: api_key }] }", "routes[0].credentials: has no effect on a public route"},
		"a public variable first":    {"{ route: '/{rest...}', public: true }", "is public and begins with a variable, so it opens more than it says"},
		"a preflight by POST":        {"{ route: POST /x, preflight: true }", "routes[0].preflight: has no effect on POST"},
		"a resource without a kind":  {"{ route: '/x/{id}', resource: { id: path id } }", "routes[0].resource.kind: is missing"},
		"a resource by two names":    {"{ route: '/x/{id}', resource: { kind: p, id: path id, slug: query s } }", "routes[0].resource: must have exactly one of slug"},
		"a resource by no name":      {"{ route: /x, resource: { kind: p } }", "routes[0].resource: must have exactly one of slug"},
		"a resource by a header":     {"{ route: /x, resource: { kind: p, slug: header x } }", `slug: "header x" must be written as query NAME`},
		"a resource by no variable":  {"{ route: '/x/{id}', resource: { kind: p, id: path other } }", "resource.id: the route has no variable {other}"},
		"a path that is required":    {"{ route: '/x/{id}', resource: { kind: p, id: path id, required: true } }", "resource.required: has no effect on a path variable"},
		"resource and resources":     {"{ route: '/x/{id}', resource: { kind: p, id: path id }, resources: [] }", "routes[0].resource: is given beside resources"},
		"too many resources": {
			"{ route: /x, resources: [" + strings.Repeat("{ kind: p, slug: query s },", 5) + "] }", "routes[0].resources: has more than 4 entries",
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblem(t, "routes: ["+tt.routes+"]", tt.want) })
	}
}

// bomb is a short text that aliases make endless.
func bomb() string {
	var b strings.Builder
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&b, "      a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return b.String()
}

func expectProblem(t *testing.T, fields, want string) {
	t.Helper()
	file := written(t, minimal+fields)
	set, err := profile.Load(false, file)
	if err == nil {
		t.Fatal("it loads")
	}
	if set != nil {
		t.Error("there is an error and a set")
	}
	if got := strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", ""); !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAllProblemsAreReportedInTheOrderOfTheText(t *testing.T) {
	file := written(t, minimal+"hosts: ['*']\npreflight: often\nroutes:\n  - route: nowhere\n  - { route: /x, cost: -1 }\n")
	_, err := profile.Load(false, file)
	if err == nil {
		t.Fatal("it loads")
	}
	var places []string
	for _, line := range strings.Split(strings.ReplaceAll(err.Error(), file, "api.yaml"), "\n") {
		places = append(places, line[:strings.Index(line, ": ")])
	}
	if got := strings.Join(places, " "); got != "api.yaml:4 api.yaml:5 api.yaml:7 api.yaml:8" {
		t.Errorf("got %s\n%v", got, err)
	}
}
