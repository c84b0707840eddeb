package envoy_test

import (
	"strings"
	"testing"
)

// identityHeaders are what only Postern may say to an upstream.
var identityHeaders = []string{"x-org-id", "x-org-slug", "x-user-id", "x-key-id", "x-permissions", "x-auth-method"}

// spellings are ways to write a header that some server takes for the name itself.
func spellings(name string) map[string]string {
	return map[string]string{
		"as it is":             name,
		"in title case":        titled(name),
		"in capitals":          strings.ToUpper(name),
		"underscores":          strings.ReplaceAll(name, "-", "_"),
		"one underscore":       strings.Replace(name, "-", "_", 1),
		"the other underscore": underscoredLast(name),
		"underscores, capital": strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
		"dots":                 strings.ReplaceAll(name, "-", "."),
		"one dot":              strings.Replace(name, "-", ".", 1),
		"a dot behind":         name + ".",
		"a hyphen behind":      name + "-",
		"an underscore behind": name + "_",
		"a dot before":         "." + name,
		"an underscore before": "_" + name,
		"two hyphens":          strings.ReplaceAll(name, "-", "--"),
		"mixed":                strings.Replace(name, "-", "-._", 1),
	}
}

func underscoredLast(name string) string {
	if last := strings.LastIndexByte(name, '-'); last >= 0 {
		return name[:last] + "_" + name[last+1:]
	}
	return name
}

func titled(name string) string {
	parts := strings.Split(name, "-")
	for i := range parts {
		parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
	}
	return strings.Join(parts, "-")
}

// unspoofed fails when a header with the client's mark reached the upstream.
// Where Envoy refuses the request there is nothing to see.
func unspoofed(t *testing.T, g gate, r reply) {
	t.Helper()
	seen, ok := r.reached()
	if !ok {
		if !g.hardened || r.status != 400 {
			t.Errorf("got %s", r)
		}
		return
	}
	for name, values := range seen.Headers {
		if strings.Contains(strings.Join(values, "|"), "evil") {
			t.Errorf("the upstream received %s: %q", name, values)
		}
	}
}

func TestSpoofedIdentityNeverReachesTheUpstreamInAnySpelling(t *testing.T) {
	targets := map[string]struct {
		api, line string
		headers   []string
		own       string // a header that this API reads from its clients
	}{
		"public":                {"artos", "GET /api/v1/search/status", nil, ""},
		"token":                 {"artos", "GET /api/v1/templates/", bearer("$ARTOS_TOKEN"), ""},
		"company":               {"datasets", "GET /api/v1/companies/company_acme/datasets/", bearer("$DATASETS_TOKEN"), ""},
		"API key with a slug":   {"artanis", "GET /api/prompts?projectSlug=my-project", []string{"x-api-key: $ARTANIS_API_KEY", "x-org-slug: my-org"}, "x-org-slug"},
		"API key without slug":  {"artanis", "POST /api/v1/traces", bearer("$ARTANIS_API_KEY"), ""},
		"discovery":             {"arthur-platform", "GET /api/v1/auth/oidc/.well-known/openid-configuration", nil, ""},
		"roles":                 {"arthur-platform", "GET /api/v1/models", bearer("$PLATFORM_MEMBER_TOKEN"), ""},
		"pair":                  {"arthur-engine", "GET /api/v2/tasks", bearer("$ARTHUR_API_KEY"), ""},
		"metered":               {"authenta", "POST /api/v1/jobs", bearer("$AUTHENTA_API_KEY"), ""},
		"health":                {"authenta", "GET /health", nil, ""},
		"preflight":             {"authenta", "OPTIONS /api/v1/jobs", []string{"Origin: https://a.example", "Access-Control-Request-Method: POST"}, ""},
		"public on the generic": {"generic", "GET /api/v1/search/status", []string{"Host: api.artosai.com"}, ""},
	}
	throughEach(t, func(t *testing.T, g gate) {
		for name, target := range targets {
			t.Run(name, func(t *testing.T) {
				for spelling := range spellings("x-a") {
					headers := append([]string{}, target.headers...)
					for _, protected := range append(identityHeaders, "x-project-id") {
						spelled := spellings(protected)[spelling]
						if target.api != "artanis" && protected == "x-project-id" || strings.EqualFold(spelled, target.own) {
							continue
						}
						headers = append(headers, spelled+": evil")
					}
					unspoofed(t, g, g.send(t, target.api, target.line, headers...))
				}
			})
		}
	})
}

func TestRepeatedIdentityHeadersAreReplacedByOne(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		r := g.send(t, "artos", "GET /api/v1/templates/", "x-org-id: evil", "Authorization: Bearer $ARTOS_TOKEN", "X-Org-Id: evil2", "x-org-id: evil3, evil4", "x-permissions: evil")
		seen := r.allowed(t)
		mustTell(t, seen, map[string]string{
			"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_ada", "x-permissions": "read,write,delete", "x-auth-method": "token",
		})
		for _, name := range identityHeaders {
			if len(seen.Headers[name]) > 1 {
				t.Errorf("the upstream received %s %d times", name, len(seen.Headers[name]))
			}
		}
	})
}

func TestIdentityWithoutAValueIsRemovedNotBlanked(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		// A token has no key, a key has no user: the client must not fill the gap.
		seen := g.send(t, "artos", "GET /api/v1/templates/", "Authorization: Bearer $ARTOS_TOKEN", "x-key-id: evil").allowed(t)
		if values, ok := seen.Headers["x-key-id"]; ok {
			t.Errorf("x-key-id: %q", values)
		}
		seen = g.send(t, "authenta", "GET /api/v1/jobs", "Authorization: Bearer $AUTHENTA_API_KEY", "x-user-id: evil").allowed(t)
		if values, ok := seen.Headers["x-user-id"]; ok {
			t.Errorf("x-user-id: %q", values)
		}
	})
}

func TestCredentialIsNeverReadFromNorForwardedInAnAlias(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for spelling, name := range spellings("x-api-key") {
			if strings.EqualFold(name, "x-api-key") {
				continue
			}
			t.Run(spelling, func(t *testing.T) {
				g.send(t, "artanis", "GET /api/prompts", name+": $ARTANIS_API_KEY", "x-org-slug: my-org").refused(t)
				unspoofed(t, g, g.send(t, "artanis", "GET /api/prompts", "x-api-key: $ARTANIS_API_KEY", name+": evil", "x-org-slug: my-org"))
				unspoofed(t, g, g.send(t, "artanis", "GET /health", name+": evil"))
			})
		}
		for _, name := range []string{"x_org_slug", "x.org.slug", "x-org_slug", "x-org-slug-"} {
			g.send(t, "artanis", "GET /api/prompts", "x-api-key: $ARTANIS_API_KEY", name+": my-org").refused(t)
			unspoofed(t, g, g.send(t, "artanis", "GET /api/prompts", "x-api-key: $ARTANIS_API_KEY", name+": evil", "x-org-slug: my-org"))
		}
	})
}

// Some servers read the method, the path or the caller from these.
func TestOverridesAreRemovedBeforeTheUpstream(t *testing.T) {
	overrides := []string{
		"x-http-method-override", "x-method-override", "x-http-method", "x-original-url", "x-rewrite-url", "x-original-uri",
		"x-forwarded-uri", "proxy-authorization", "X_HTTP_METHOD_OVERRIDE", "x-http.method-override", "X-Original-URL-",
	}
	throughEach(t, func(t *testing.T, g gate) {
		for _, name := range overrides {
			for _, line := range []string{"GET /api/v1/search/status", "GET /api/v1/templates/"} {
				unspoofed(t, g, g.send(t, "artos", line, "Authorization: Bearer $ARTOS_TOKEN", name+": evil"))
			}
		}
		// And they change nothing: a READ key does not write by them.
		r := g.send(t, "authenta", "POST /api/v1/jobs", "Authorization: Bearer $AUTHENTA_READONLY_KEY", "X-HTTP-Method-Override: GET", "X-Original-URL: /health")
		r.denied(t, 403, `{"code":"FORBIDDEN","statusCode":403,"message":"You don't have permission to access this"}`)
	})
}

func TestAddressesAndTimeoutsThatClientsClaimDecideNothing(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		r := g.send(t, "artos", "GET /api/v1/templates/", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;proto=https",
			"X-Envoy-Internal: true", "X-Envoy-Original-Path: /api/v1/search/status", "X-Envoy-Upstream-Rq-Timeout-Ms: 1", "X-Request-Id: x")
		r.denied(t, 401, `{"detail":"Not authenticated"}`)
	})
}
