package profile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/profile"
)

// TestPresetsAskForWhatTheirDocumentsSay reads each route as one line: what it
// costs, which permission it asks for, and what binds it to an organization.
func TestPresetsAskForWhatTheirDocumentsSay(t *testing.T) {
	set := presets(t)
	for _, tt := range []struct {
		profile, method, path, want string
	}{
		{"authenta", "GET", "/api/v1/jobs", "READ, own organization"},
		{"authenta", "POST", "/api/v1/jobs", "WRITE, 1 credit, own organization"},
		{"authenta", "POST", "/api/v1/jobs/", "WRITE, 1 credit, own organization"},
		{"authenta", "POST", "/api/v1/media", "WRITE, own organization"},
		{"authenta", "DELETE", "/api/v1/jobs/j1", "DELETE, own organization"},
		{"authenta", "POST", "/api/v1/facesim/v1/search", "READ, own organization"},

		{"artos", "GET", "/api/v1/search/status", "public"},
		{"artos", "HEAD", "/api/v1/search/status", "public"},
		{"artos", "POST", "/api/v1/search/status", "write, own organization"},
		{"artos", "GET", "/api/v1/search/status/", "read, own organization"},
		{"artos", "GET", "/api/v1/search/statusX", "read, own organization"},
		{"artos", "GET", "/api/v1/Search/status", "refused"},
		{"artos", "GET", "/api/v1/search/%73tatus", "refused"},
		{"artos", "GET", "/api/v1/templates/", "read, own organization"},
		{"artos", "DELETE", "/api/v1/documents/d1", "delete, own organization"},

		{"datasets", "GET", "/api/v1/companies/c1/datasets/", "any, organization in company_id"},
		{"datasets", "GET", "/api/v1/companies/c1", "any, organization in company_id"},
		{"datasets", "GET", "/api/v1/companies/c1/", "any, organization in company_id"},
		{"datasets", "GET", "/api/v1/companies/c%31/datasets/", "refused"},
		{"datasets", "GET", "/api/v1/%63ompanies/c1/datasets/", "refused"},
		{"datasets", "GET", "/api/v1/Companies/c1/datasets/", "refused"},
		{"datasets", "GET", "/api/v1/profile", "any, own organization"},

		{"artanis", "GET", "/api/prompts", "any, organization in x-org-slug, project by projectSlug"},
		{"artanis", "GET", "/api/projects/p1", "any, organization in x-org-slug, project by projectSlug, project by project_id"},
		{"artanis", "GET", "/api/projects/p1/", "any, organization in x-org-slug, project by projectSlug, project by project_id"},
		{"artanis", "GET", "/api/projects/p1/traces", "any, organization in x-org-slug, project by projectSlug, project by project_id"},
		{"artanis", "POST", "/api/v1/traces", "any, own organization"},
		{"artanis", "POST", "/api/v1/observations", "any, own organization"},
		{"artanis", "POST", "/api/v1/feedback", "any, own organization"},
		{"artanis", "GET", "/api/v1/traces", "any, organization in x-org-slug, project by projectSlug"},

		{"arthur-platform", "GET", "/api/v1/auth/oidc/.well-known/openid-configuration", "public"},
		{"arthur-platform", "GET", "/realms/arthur/.well-known/openid-configuration", "public"},
		{"arthur-platform", "GET", "/realms/arthur/protocol/openid-connect/certs", "public"},
		{"arthur-platform", "POST", "/realms/arthur/protocol/openid-connect/token", "public"},
		{"arthur-platform", "POST", "/realms/arthur/protocol/openid-connect/auth/device", "public"},
		{"arthur-platform", "GET", "/realms/arthur/device", "public"},
		{"arthur-platform", "GET", "/realms/arthur/device/status", "public"},
		{"arthur-platform", "POST", "/realms/arthur/login-actions/authenticate", "public"},
		{"arthur-platform", "GET", "/resources/abc/login/keycloak.v2/css/styles.css", "public"},
		{"arthur-platform", "GET", "/realms/other/device", "read, own organization"},
		{"arthur-platform", "GET", "/admin/realms/arthur/users", "read, own organization"},
		{"arthur-platform", "GET", "/api/v1/workspaces", "read, own organization"},
		{"arthur-platform", "POST", "/api/v1/workspaces", "write, own organization"},
		{"arthur-platform", "GET", "/api/v1/organizations/o1/roles", "admin, own organization"},
		{"arthur-platform", "POST", "/api/v1/data_planes/d1/jobs", "data_plane, own organization"},

		{"arthur-engine", "POST", "/auth/api_keys/", "manage_api_keys, no organization"},
		{"arthur-engine", "POST", "/auth/api_keys", "manage_api_keys, no organization"},
		{"arthur-engine", "GET", "/auth/api_keys/k1", "manage_api_keys, no organization"},
		{"arthur-engine", "DELETE", "/auth/api_keys/deactivate/k1", "manage_api_keys, no organization"},
		{"arthur-engine", "GET", "/api/v2/tasks", "read, own organization"},
		{"arthur-engine", "POST", "/api/v2/tasks", "manage_tasks, own organization"},
		{"arthur-engine", "POST", "/api/v2/tasks/search", "read, own organization"},
		{"arthur-engine", "POST", "/api/v2/tasks/t1/validate_prompt", "write, own organization"},
		{"arthur-engine", "POST", "/api/v2/default_rules", "manage_default_rules, own organization"},
		{"arthur-engine", "POST", "/v1/traces", "write, own organization"},
		{"arthur-engine", "POST", "/api/v1/traces", "write, own organization"},
	} {
		p := set.ByName(identity.ProfileName(tt.profile))
		if got := describe(p, tt.method, tt.path); got != tt.want {
			t.Errorf("%s: %s %s\n got %s\nwant %s", tt.profile, tt.method, tt.path, got, tt.want)
		}
	}
}

func describe(p *profile.Profile, method, path string) string {
	route, ok := p.Match(method, path, nil)
	switch {
	case !ok:
		return "refused"
	case route.Public:
		return "public"
	}
	parts := []string{"any"}
	if permission := p.Permission(route, method); permission != "" {
		parts[0] = permission
	}
	if route.Cost > 0 {
		parts = append(parts, fmt.Sprintf("%d credit", route.Cost))
	}
	switch rule := route.Organization; rule.From {
	case profile.OrgFromCredential:
		parts = append(parts, "own organization")
	case profile.OrgNone:
		parts = append(parts, "no organization")
	default:
		parts = append(parts, "organization in "+rule.Name)
	}
	for _, r := range route.Resources {
		parts = append(parts, string(r.Kind)+" by "+r.Query+r.Path)
	}
	return strings.Join(parts, ", ")
}

func TestTheMasterKeyManagesKeysAndNothingElse(t *testing.T) {
	p := presets(t).ByName("arthur-engine")
	if p.AdminKeyEnv != "GENAI_ENGINE_ADMIN_KEY" {
		t.Errorf("the key is in %s", p.AdminKeyEnv)
	}
	for permission, want := range map[string]bool{"manage_api_keys": true, "read": false, "write": false, "manage_tasks": false, "ADMIN-KEY": false} {
		if got := p.Permits(p.AdminGrants, permission); got != want {
			t.Errorf("%s: %v", permission, got)
		}
	}
	route, _ := p.Match("POST", "/auth/api_keys/", nil)
	if s := route.Credentials; len(s) != 1 || s[0].Accept != credential.AdminKey|credential.Token || !s[0].Keep {
		t.Errorf("keys are managed with %+v", s)
	}
	if s := p.Credentials; len(s) != 1 || s[0].Accept != credential.AdminKey|credential.APIKey|credential.Token || s[0].Keep {
		t.Errorf("the chain is %+v", s)
	}
	keys := p.KeyManagement
	if keys.Organization != "default" || keys.MaxActive != 100 || keys.DefaultRole != "VALIDATION-USER" || len(keys.Roles) != 5 || slices.Contains(keys.Roles, "ADMIN-KEY") {
		t.Errorf("key management is %+v", keys)
	}
}

func TestPresetsReadCredentialsAsTheirDocumentsSay(t *testing.T) {
	set := presets(t)
	for name, want := range map[identity.ProfileName]profile.KeyRules{
		"authenta":      {Format: credential.Format{Prefix: "api_", Checksum: true, Hash: credential.SHA256}},
		"artanis":       {Format: credential.Format{Prefix: "sk_", Hash: credential.SHA256}},
		"arthur-engine": {Format: credential.Format{Layout: credential.Pair, Hash: credential.Bcrypt}},
	} {
		if got := *set.ByName(name).Keys; got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, want := range map[identity.ProfileName]profile.Issuer{
		"artos": {
			Own: true, Audiences: []string{"artos"}, Algorithms: []string{"EdDSA"}, Directory: profile.DirectoryRequired,
			Claims: profile.Claims{Organization: "org_id", User: "sub", Permissions: "permissions", Environment: "env"},
		},
		"datasets": {
			Own: true, Audiences: []string{"datasets"}, Algorithms: []string{"HS256"}, Directory: profile.DirectoryRequired,
			MaxLifetime: 8760 * time.Hour, Claims: profile.Claims{Organization: "company_id", User: "sub", Permissions: "permissions"},
		},
		"artanis": {
			Name: "https://clerk.artanis.ai", AuthorizedParties: []string{"https://app.artanis.ai"}, Algorithms: []string{"RS256"},
			JWKSURL: "https://clerk.artanis.ai/.well-known/jwks.json", Leeway: 5 * time.Second, Directory: profile.DirectoryRequired,
			Claims: profile.Claims{User: "sub"},
		},
		"arthur-platform": arthurIssuer,
		"arthur-engine":   arthurIssuer,
	} {
		got := set.ByName(name).Issuers
		if len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	if !set.ByName("artos").RequireHTTPS {
		t.Error("artos lets plain HTTP pass")
	}
	if name := set.ByName("authenta").RequestIDHeader; name != "" {
		t.Errorf("a client of authenta may repeat %s and pay once, though its upstream works twice", name)
	}
	if got := set.ByName("artanis").Upstream.Cookies; !slices.Equal(got, []string{"__session"}) {
		t.Errorf("artanis: the session cookie reaches the upstream: %v", got)
	}
}

var arthurIssuer = profile.Issuer{
	Name: "https://platform.arthur.ai/realms/arthur", Audiences: []string{"arthur-api"}, Algorithms: []string{"RS256"},
	JWKSURL: "https://platform.arthur.ai/realms/arthur/protocol/openid-connect/certs", Leeway: 5 * time.Second, Directory: profile.DirectoryTrusted,
	Claims: profile.Claims{Organization: "org_id", OrganizationSlug: "org_slug", User: "sub", Permissions: "realm_access.roles"},
}

func TestPreflightsStayOpenOnEveryApi(t *testing.T) {
	for _, p := range all(t) {
		for _, path := range []string{"/api/v1/jobs", "/api/v1/companies/c1/datasets/", "/api/prompts", "/auth/api_keys/"} {
			if route, ok := p.Match("OPTIONS", path, nil); !ok || !route.AllowPreflight && !route.Public {
				t.Errorf("%s: a preflight to %s needs a credential", p.Name, path)
			}
		}
	}
}
