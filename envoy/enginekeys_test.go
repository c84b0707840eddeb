package envoy_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// engineKey is a key as arthur-engine's document shows it.
type engineKey struct {
	ID            string   `json:"id"`
	Key           string   `json:"key"`
	Description   *string  `json:"description"`
	IsActive      bool     `json:"is_active"`
	CreatedAt     string   `json:"created_at"`
	DeactivatedAt string   `json:"deactivated_at"`
	Message       string   `json:"message"`
	Roles         []string `json:"roles"`
}

func master() []string { return bearer("$GENAI_ENGINE_ADMIN_KEY") }

func decode[T any](t *testing.T, r reply) (value T) {
	t.Helper()
	if r.status != 200 || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("got %s %v", r, r.header)
	}
	if err := json.Unmarshal([]byte(r.body), &value); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return value
}

func members(t *testing.T, r reply) []string {
	t.Helper()
	var names []string
	for name := range decode[map[string]json.RawMessage](t, r) {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestKeyOfArthurEngineLivesAsItsDocumentSays(t *testing.T) { throughEach(t, keyLife) }

func keyLife(t *testing.T, g gate) {
	r := g.sendBody(t, "arthur-engine", "POST /auth/api_keys/", `{"description": "my key"}`, append(master(), "Content-Type: application/json")...)
	made := decode[engineKey](t, r)
	world.secrets.add(made.Key)
	if want := []string{"created_at", "description", "id", "is_active", "key", "message", "roles"}; !slices.Equal(members(t, r), want) {
		t.Errorf("a new key has the members %v, want %v", members(t, r), want)
	}
	pair, err := base64.StdEncoding.DecodeString(made.Key)
	if err != nil || !strings.HasPrefix(string(pair), made.ID+":") {
		t.Errorf("the key is not the base64 of its id and a secret: %v", err)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if !uuid.MatchString(made.ID) || !made.IsActive || *made.Description != "my key" || made.Message == "" || !slices.Equal(made.Roles, []string{"VALIDATION-USER"}) {
		t.Errorf("got %s", strings.ReplaceAll(r.body, made.Key, "(the key)"))
	}
	if at, err := time.Parse(time.RFC3339Nano, made.CreatedAt); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("created_at is %q: %v", made.CreatedAt, err)
	}
	use := request{"arthur-engine", "GET /api/v2/tasks", bearer(made.Key)}
	use.allowed(t)

	shown := g.send(t, "arthur-engine", "GET /auth/api_keys/"+made.ID, master()...)
	if got := decode[engineKey](t, shown); got.ID != made.ID || !got.IsActive || strings.Contains(shown.body, `"key"`) || strings.Contains(shown.body, made.Key) {
		t.Errorf("the key is shown as %s", shown)
	}
	listed := g.send(t, "arthur-engine", "GET /auth/api_keys/", master()...)
	isMade := func(k engineKey) bool { return k.ID == made.ID }
	if !slices.ContainsFunc(decode[[]engineKey](t, listed), isMade) || strings.Contains(listed.body, `"key"`) || strings.Contains(listed.body, made.Key) {
		t.Errorf("the list is %s", listed)
	}

	for range 2 { // the second time changes nothing
		if r := g.send(t, "arthur-engine", "DELETE /auth/api_keys/deactivate/"+made.ID, master()...); r.status != 204 || r.body != "" {
			t.Errorf("deactivating: %s", r)
		}
		use.denied(t, 401, `{"detail":"The credential was revoked"}`)
	}
	if listed := g.send(t, "arthur-engine", "GET /auth/api_keys/", master()...); slices.ContainsFunc(decode[[]engineKey](t, listed), isMade) {
		t.Errorf("a key that is not active is listed: %s", listed)
	}
	if got := decode[engineKey](t, g.send(t, "arthur-engine", "GET /auth/api_keys/"+made.ID, master()...)); got.IsActive || got.DeactivatedAt == "" {
		t.Errorf("a deactivated key is shown as %+v", got)
	}
}

func TestKeyAPIOfArthurEngineRefusesAsItsDocumentSays(t *testing.T) { throughEach(t, keyRefusals) }

func keyRefusals(t *testing.T, g gate) {
	const nowhere = "0b0e7a3e-6d4c-4f43-9c57-2f0a3a6d8d11"
	for _, line := range []string{"GET /auth/api_keys/" + nowhere, "DELETE /auth/api_keys/deactivate/" + nowhere, "GET /auth/api_keys/key_of_no_form"} {
		bare(t, g.send(t, "arthur-engine", line, master()...), 404, `{"detail":"API Key not found"}`)
	}
	// A key of another API is none of this one.
	id, _, err := world.directory().key(t.Context(), "authenta", "org_media", "READ")
	if err != nil {
		t.Fatal(err)
	}
	bare(t, g.send(t, "arthur-engine", "GET /auth/api_keys/"+id, master()...), 404, `{"detail":"API Key not found"}`)
	bare(t, g.send(t, "arthur-engine", "DELETE /auth/api_keys/deactivate/"+id, master()...), 404, `{"detail":"API Key not found"}`)

	const allowed = "Allowed roles are: DEFAULT-RULE-ADMIN, TASK-ADMIN, VALIDATION-USER, ORG-AUDITOR, ORG-ADMIN"
	for _, role := range []string{"TENANT-USER", "ADMIN-KEY", "org-admin"} {
		r := g.sendBody(t, "arthur-engine", "POST /auth/api_keys/", `{"roles": ["VALIDATION-USER", "`+role+`"]}`, master()...)
		bare(t, r, 400, `{"detail":"Role \"`+role+`\" is not allowed. `+allowed+`"}`)
	}
	for _, credential := range []string{"$ARTHUR_API_KEY", "$PLATFORM_ENGINE_USER_TOKEN", "$ENGINE_UNKNOWN_KEY"} {
		for _, line := range []string{"POST /auth/api_keys/", "POST /auth/api_keys", "GET /auth/api_keys", "DELETE /auth/api_keys/deactivate/" + nowhere, "GET /auth/api_keys/" + nowhere} {
			g.sendBody(t, "arthur-engine", line, `{}`, bearer(credential)...).refused(t)
		}
	}
}

// bare checks an answer of the key API, which ends its bodies with a line end.
func bare(t *testing.T, r reply, status int, body string) {
	t.Helper()
	r.body = strings.TrimSuffix(r.body, "\n")
	r.denied(t, status, body)
}

func TestKeyOfArthurEngineCarriesTheRolesAskedFor(t *testing.T) {
	t.Parallel()
	g := hardened()
	for role, may := range map[string]map[string]int{
		"TASK-ADMIN":         {"POST /api/v2/tasks": 200, "DELETE /api/v2/tasks/1": 200, "POST /api/v2/default_rules": 403, "GET /api/v2/tasks": 200},
		"DEFAULT-RULE-ADMIN": {"POST /api/v2/tasks": 403, "POST /api/v2/default_rules": 200, "POST /api/v2/validate": 403, "GET /api/v2/tasks": 200},
		"ORG-AUDITOR":        {"GET /api/v2/tasks": 200, "POST /api/v2/tasks/search": 200, "POST /api/v2/validate": 403},
		"ORG-ADMIN":          {"POST /api/v2/tasks": 200, "POST /api/v2/configuration": 200, "POST /api/v2/default_rules": 200},
	} {
		made := decode[engineKey](t, g.sendBody(t, "arthur-engine", "POST /auth/api_keys/", `{"roles": ["`+role+`"]}`, master()...))
		world.secrets.add(made.Key)
		if !slices.Equal(made.Roles, []string{role}) || made.Description != nil {
			t.Errorf("%s: the key has the roles %v", role, made.Roles)
		}
		for line, status := range may {
			if r := g.send(t, "arthur-engine", line, bearer(made.Key)...); r.status != status {
				t.Errorf("%s: %s: %s, want %d", role, line, r, status)
			}
		}
		if r := g.send(t, "arthur-engine", "DELETE /auth/api_keys/deactivate/"+made.ID, master()...); r.status != 204 {
			t.Errorf("deactivating: %s", r)
		}
	}
}

// The chain on these routes is the master key, then a token.
func TestTokenOfAnAdministratorManagesKeys(t *testing.T) {
	t.Parallel()
	g := hardened()
	admin := bearer("$PLATFORM_ENGINE_ADMIN_TOKEN")
	made := decode[engineKey](t, g.sendBody(t, "arthur-engine", "POST /auth/api_keys/", `{"description": ""}`, admin...))
	world.secrets.add(made.Key)
	if r := g.send(t, "arthur-engine", "DELETE /auth/api_keys/deactivate/"+made.ID, admin...); r.status != 204 {
		t.Errorf("deactivating: %s", r)
	}
	for _, line := range []string{"GET /auth/api_keys/", "GET /auth/api_keys/?x=1"} {
		if r := g.send(t, "arthur-engine", line, admin...); r.status != 200 {
			t.Errorf("%s: %s", line, r)
		}
	}
}

// Where the key API needs the credential, it is kept; nowhere else, and what a
// client says about itself counts nowhere.
func TestMasterKeyGoesNoFurtherThanTheKeyAPI(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		seen := g.send(t, "arthur-engine", "GET /health", master()...).allowed(t)
		mustTell(t, seen, map[string]string{})
		g.send(t, "arthur-engine", "GET /auth/api_keys/", "x-auth-method: admin_key", "x-permissions: manage_api_keys", "x-org-id: org_default").
			denied(t, 401, `{"detail":"Not authenticated"}`)
	})
}
