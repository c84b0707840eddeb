package envoy_test

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"postern/internal/demo/upstream"
)

// told is what Postern tells the upstream: the x- headers that are not Envoy's own.
func told(seen upstream.Received) map[string]string {
	facts := map[string]string{}
	for name, values := range seen.Headers {
		if !strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "x-envoy-") || strings.HasPrefix(name, "x-forwarded-") || name == "x-request-id" {
			continue
		}
		facts[name] = strings.Join(values, "|")
	}
	return facts
}

// mustTell checks the facts one by one and that there are no others, and that the
// credential stayed behind.
func mustTell(t *testing.T, seen upstream.Received, want map[string]string) {
	t.Helper()
	if have := told(seen); !maps.Equal(have, want) {
		t.Errorf("the upstream was told\n%v, want\n%v", have, want)
	}
	for _, name := range []string{"authorization", "x-api-key", "proxy-authorization"} {
		if values, ok := seen.Headers[name]; ok {
			t.Errorf("the upstream received %s: %d values", name, len(values))
		}
	}
	for _, cookie := range seen.Headers["cookie"] {
		if strings.Contains(cookie, "__session") {
			t.Errorf("the upstream received the session's cookie")
		}
	}
}

func TestUpstreamOfArtosLearnsOrganizationUserAndPermissionsOnly(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		seen := g.send(t, "artos", "GET /api/v1/templates/?page=2&q=%20a", "Authorization: Bearer $ARTOS_TOKEN", "Content-Type: application/json").allowed(t)
		mustTell(t, seen, map[string]string{
			"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_ada", "x-permissions": "read,write,delete", "x-auth-method": "token",
		})
		if seen.Method != "GET" || seen.Path != "/api/v1/templates/" || seen.Query != "page=2&q=%20a" || strings.Join(seen.Headers["content-type"], "|") != "application/json" {
			t.Errorf("the request itself was changed: %+v", seen)
		}
		seen = g.send(t, "artos", "DELETE /api/v1/documents/42", "Authorization: Bearer $ARTOS_TOKEN").allowed(t)
		if seen.Method != "DELETE" || seen.Path != "/api/v1/documents/42" {
			t.Errorf("the request itself was changed: %+v", seen)
		}
		seen = g.send(t, "artos", "GET /api/v1/documents/", "Authorization: Bearer $ARTOS_READ_TOKEN").allowed(t)
		mustTell(t, seen, map[string]string{
			"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_ada", "x-permissions": "read", "x-auth-method": "token",
		})
	})
}

func TestPublicPathOfArtosNeedsNoCredentialAndForwardsNone(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, headers := range [][]string{
			nil,
			{"Authorization: Bearer $ARTOS_TOKEN"},
			{"Authorization: Bearer $ARTOS_REVOKED_TOKEN"},
			{"Authorization: Bearer nonsense", "Authorization: Basic YTpi"},
			{"Authorization: Basic YTpi", "X-Api-Key: x", "Proxy-Authorization: Basic YTpi"},
		} {
			seen := g.send(t, "artos", "GET /api/v1/search/status", headers...).allowed(t)
			delete(seen.Headers, "x-api-key") // no credential of this API
			mustTell(t, seen, map[string]string{})
		}
	})
}

func TestUpstreamOfDatasetsLearnsTheCompanyOfThePath(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		want := map[string]string{
			"x-org-id": "company_acme", "x-org-slug": "acme", "x-user-id": "user_ada", "x-permissions": "read,write", "x-auth-method": "token",
		}
		for _, path := range []string{"/api/v1/companies/$DATASETS_COMPANY_ID/datasets/", "/api/v1/companies/$DATASETS_COMPANY_ID", "/api/v1/companies/$DATASETS_COMPANY_ID/", "/api/v1/companies/$DATASETS_COMPANY_ID/datasets/7/rows", "/api/v1/me"} {
			seen := g.send(t, "datasets", "GET "+path, "Authorization: Bearer $DATASETS_TOKEN").allowed(t)
			mustTell(t, seen, want)
			if seen.Path != fill(t, path) {
				t.Errorf("the upstream saw the path %s", seen.Path)
			}
		}
	})
}

func TestUpstreamOfArtanisLearnsTheProjectByItsID(t *testing.T) {
	id, key, err := world.directory().key(t.Context(), "artanis", "org_my", "read", "write")
	if err != nil {
		t.Fatal(err)
	}
	keyHeader := "x-api-key: " + key
	throughEach(t, func(t *testing.T, g gate) {
		want := map[string]string{
			"x-org-id": "org_my", "x-org-slug": "my-org", "x-key-id": id, "x-permissions": "read,write", "x-auth-method": "api_key", "x-project-id": "proj_mine",
		}
		for _, line := range []string{
			"GET /api/prompts?projectSlug=$ARTANIS_PROJECT",
			"GET /api/prompts?x=1&project%53lug=my%2Dproject&y",
			"GET /api/projects/proj_mine",
			"GET /api/projects/proj_mine/prompts?projectSlug=$ARTANIS_PROJECT",
			"DELETE /api/projects/proj_mine/prompts/3",
		} {
			mustTell(t, g.send(t, "artanis", line, keyHeader, "x-org-slug: $ARTANIS_ORG_SLUG").allowed(t), want)
		}
		delete(want, "x-project-id")
		seen := g.send(t, "artanis", "GET /api/prompts", keyHeader, "X-ORG-SLUG: $ARTANIS_ORG_SLUG", "x-project-id: proj_theirs").allowed(t)
		mustTell(t, seen, want)
		for _, path := range []string{"/api/v1/traces", "/api/v1/observations", "/api/v1/feedback", "/api/v1/traces/"} {
			mustTell(t, g.sendBody(t, "artanis", "POST "+path, `{"a":1}`, "Authorization: Bearer "+key, "Content-Type: application/json").allowed(t), want)
		}
		// A slug that the client sends along is not believed.
		seen = g.sendBody(t, "artanis", "POST /api/v1/traces", `{}`, "authorization: bearer "+key, "x-org-slug: $ARTANIS_OTHER_ORG_SLUG").allowed(t)
		mustTell(t, seen, want)
	})
}

func TestSessionOfArtanisOpensByBearerAndByCookieAndOtherCookiesRemain(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		want := map[string]string{"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_clerk", "x-permissions": "read,write", "x-auth-method": "token", "x-project-id": "proj_mine"}
		for name, c := range map[string]struct {
			headers []string
			cookie  string
		}{
			"bearer":                     {[]string{"Authorization: Bearer $ARTANIS_SESSION_TOKEN"}, ""},
			"cookie alone":               {[]string{"Cookie: __session=$ARTANIS_SESSION_TOKEN"}, ""},
			"cookie among others":        {[]string{"Cookie: theme=dark; __session=$ARTANIS_SESSION_TOKEN; lang=en"}, "theme=dark; lang=en"},
			"bearer with a stale cookie": {[]string{"Authorization: Bearer $ARTANIS_SESSION_TOKEN", "Cookie: a=1; __session=stale"}, "a=1"},
			"cookies in two fields":      {[]string{"Cookie: a=1; __session=$ARTANIS_SESSION_TOKEN", "Cookie: b=2"}, "a=1; b=2"},
		} {
			if name == "cookies in two fields" && !g.hardened {
				continue // RFC 6265 § 5.4 forbids it; without raw headers Envoy joins them by a comma, and Postern refuses
			}
			seen := g.send(t, "artanis", "GET /api/prompts?projectSlug=my-project", append(c.headers, "x-org-slug: my-org")...).allowed(t)
			mustTell(t, seen, want)
			if have := strings.Join(seen.Headers["cookie"], "|"); have != c.cookie {
				t.Errorf("%s: the upstream received the cookies %q, want %q", name, have, c.cookie)
			}
		}
	})
}

func TestUpstreamOfArthurPlatformLearnsWhatRolesAllow(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		base := map[string]string{"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "8f7d2f8e", "x-auth-method": "token"}
		for _, c := range []struct{ line, token, permissions string }{
			{"POST /api/v1/organizations", "$PLATFORM_ADMIN_TOKEN", "read,write,admin"},
			{"GET /api/v1/organizations/7/users", "$PLATFORM_ADMIN_TOKEN", "read,write,admin"},
			{"POST /api/v1/models", "$PLATFORM_MEMBER_TOKEN", "read,write"},
			{"GET /api/v1/data_planes/1", "$PLATFORM_DATA_PLANE_TOKEN", "read,data_plane"},
		} {
			want := maps.Clone(base)
			want["x-permissions"] = c.permissions
			mustTell(t, g.send(t, "arthur-platform", c.line, "Authorization: Bearer "+c.token).allowed(t), want)
		}
	})
}

func TestDiscoveryAndTokenEndpointsOfArthurPlatformAreOpen(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, line := range []string{
			"GET /api/v1/auth/oidc/.well-known/openid-configuration",
			"GET /realms/arthur/.well-known/openid-configuration",
			"GET /realms/arthur/protocol/openid-connect/certs",
			"POST /realms/arthur/protocol/openid-connect/token",
			"POST /realms/arthur/protocol/openid-connect/auth/device",
			"GET /realms/arthur/device?user_code=ABCD-EFGH",
		} {
			seen := g.sendBody(t, "arthur-platform", line, "grant_type=client_credentials", "Content-Type: application/x-www-form-urlencoded").allowed(t)
			mustTell(t, seen, map[string]string{})
		}
	})
}

func TestUpstreamOfArthurEngineLearnsTheKeyAndWhatItsRoleAllows(t *testing.T) {
	pair, err := base64.StdEncoding.DecodeString(variable(t, "ARTHUR_API_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(string(pair), ":")
	throughEach(t, func(t *testing.T, g gate) {
		want := map[string]string{"x-org-id": "org_default", "x-org-slug": "default", "x-key-id": id, "x-permissions": "read,write", "x-auth-method": "api_key"}
		for _, line := range []string{"GET /api/v2/tasks", "POST /api/v2/tasks/search", "POST /api/v2/validate"} {
			mustTell(t, g.send(t, "arthur-engine", line, "authorization: Bearer $ARTHUR_API_KEY").allowed(t), want)
		}
		seen := g.send(t, "arthur-engine", "GET /api/v2/tasks", "Authorization: Bearer $PLATFORM_ENGINE_USER_TOKEN").allowed(t)
		mustTell(t, seen, map[string]string{"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "8f7d2f8e", "x-permissions": "read,write", "x-auth-method": "token"})
	})
}

func TestUpstreamOfAuthentaLearnsTheKeyAndItsOrganization(t *testing.T) {
	id, key, err := world.directory().key(t.Context(), "authenta", "org_media", "READ", "WRITE", "DELETE")
	if err != nil {
		t.Fatal(err)
	}
	throughEach(t, func(t *testing.T, g gate) {
		want := map[string]string{"x-org-id": "org_media", "x-org-slug": "media-org", "x-key-id": id, "x-permissions": "READ,WRITE,DELETE", "x-auth-method": "api_key"}
		for _, line := range []string{"GET /api/v1/jobs", "POST /api/v1/jobs", "POST /api/v1/jobs/", "DELETE /api/v1/jobs/1", "POST /api/v1/facesim/v1/search"} {
			mustTell(t, g.send(t, "authenta", line, "Authorization: Bearer "+key).allowed(t), want)
		}
	})
}

func TestHealthAndPreflightsAreOpenAndNameNobody(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for api := range listeners {
			if api == "generic" {
				continue
			}
			mustTell(t, g.send(t, api, "GET /health", "Authorization: Bearer x").allowed(t), map[string]string{})
			seen := g.send(t, api, "OPTIONS /api/v1/jobs", "Origin: https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization").allowed(t)
			mustTell(t, seen, map[string]string{})
			// Neither half of a preflight is one.
			for _, half := range []string{"Origin: https://app.example", "Access-Control-Request-Method: POST"} {
				if r := g.send(t, api, "OPTIONS /api/v1/jobs", half); r.status != 401 {
					t.Errorf("%s: OPTIONS with only %q: %s", api, half, r)
				}
			}
			if r := g.send(t, api, "GET /api/v1/jobs", "Origin: https://app.example", "Access-Control-Request-Method: POST"); r.status != 401 {
				t.Errorf("%s: a GET dressed as a preflight: %s", api, r)
			}
		}
	})
}
