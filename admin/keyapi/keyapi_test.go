package keyapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"postern/internal/testenv/servertest"

	adminv1 "postern/proto/postern/admin/v1"
)

// api is the key API of a whole server, whose organization is there.
type api struct {
	t *testing.T
	*servertest.Server
}

func start(t *testing.T, profiles ...string) *api {
	t.Helper()
	s := servertest.Start(t, profiles...)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+servertest.AdminKey)
	organizations := adminv1.NewOrganizationServiceClient(s.Dial(t))
	if _, err := organizations.CreateOrganization(ctx, &adminv1.CreateOrganizationRequest{Slug: "default"}); err != nil {
		t.Fatal(err)
	}
	return &api{t, s}
}

// call sends a request with the credential and returns status and body.
func (a *api) call(credential, method, path, body string) (int, string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.URL+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		a.t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Error(err)
	}
	if kind := response.Header.Get("Content-Type"); len(text) > 0 && kind != "application/json" {
		a.t.Errorf("%s %s: the content type is %q", method, path, kind)
	}
	return response.StatusCode, strings.TrimSpace(string(text))
}

// key is what the API tells of one.
type key struct {
	ID            string    `json:"id"`
	Key           string    `json:"key"`
	Description   *string   `json:"description"`
	IsActive      bool      `json:"is_active"`
	CreatedAt     time.Time `json:"created_at"`
	DeactivatedAt time.Time `json:"deactivated_at"`
	Message       string    `json:"message"`
	Roles         []string  `json:"roles"`
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	var value T
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return value
}

func (a *api) create(body string) key {
	a.t.Helper()
	code, text := a.call(servertest.EngineAdminKey, "POST", "/auth/api_keys/", body)
	if code != http.StatusOK {
		a.t.Fatalf("creating a key: %d %s", code, text)
	}
	return decode[key](a.t, text)
}

func TestKeyLivesAsDocumented(t *testing.T) {
	a := start(t)
	created := a.create(`{"description": "my key"}`)
	decoded, err := base64.StdEncoding.Strict().DecodeString(created.Key)
	id, secret, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok || id != created.ID || secret == "" {
		t.Errorf("the key is not base64 of {id}:{secret}")
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(created.ID) {
		t.Errorf("the id %q is no UUID version 4", created.ID)
	}
	if *created.Description != "my key" || !created.IsActive || created.Message == "" || created.CreatedAt.IsZero() {
		t.Errorf("the key is %+v", created)
	}
	if strings.Join(created.Roles, ",") != "VALIDATION-USER" {
		t.Errorf("the roles are %v, want the default one", created.Roles)
	}

	code, text := a.call(servertest.EngineAdminKey, "GET", "/auth/api_keys/"+created.ID, "")
	if shown := decode[key](t, text); code != http.StatusOK || shown.ID != created.ID || !shown.IsActive || strings.Contains(text, `"key"`) {
		t.Errorf("showing it: %d %s", code, text)
	}
	code, text = a.call(servertest.EngineAdminKey, "GET", "/auth/api_keys/", "")
	if list := decode[[]key](t, text); code != http.StatusOK || len(list) != 1 || list[0].ID != created.ID || strings.Contains(text, `"key"`) {
		t.Errorf("listing: %d %s", code, text)
	}
	for range 2 { // idempotent
		if code, text := a.call(servertest.EngineAdminKey, "DELETE", "/auth/api_keys/deactivate/"+created.ID, ""); code != http.StatusNoContent || text != "" {
			t.Errorf("deactivating: %d %q, want 204", code, text)
		}
	}
	if code, text := a.call(servertest.EngineAdminKey, "GET", "/auth/api_keys/", ""); code != http.StatusOK || text != "[]" {
		t.Errorf("listing after deactivation: %d %s", code, text)
	}
	_, text = a.call(servertest.EngineAdminKey, "GET", "/auth/api_keys/"+created.ID, "")
	if shown := decode[key](t, text); shown.IsActive || shown.DeactivatedAt.IsZero() {
		t.Errorf("showing it after deactivation: %s", text)
	}
}

func TestRolesAreGivenAndDescriptionIsLeftOut(t *testing.T) {
	a := start(t)
	created := a.create(`{"roles": ["TASK-ADMIN", "ORG-AUDITOR"]}`)
	if strings.Join(created.Roles, ",") != "TASK-ADMIN,ORG-AUDITOR" || created.Description != nil {
		t.Errorf("the key is %+v", created)
	}
	for name, body := range map[string]string{"an empty list": `{"roles": []}`, "null": `{"roles": null, "description": null}`, "nothing": `{}`} {
		if created := a.create(body); strings.Join(created.Roles, ",") != "VALIDATION-USER" {
			t.Errorf("%s gives the roles %v", name, created.Roles)
		}
	}
}

func TestRefusalsHaveADetail(t *testing.T) {
	a := start(t)
	for name, c := range map[string]struct {
		method, path, body string
		want               int
		detail             string
	}{
		"a refused role":          {"POST", "/auth/api_keys/", `{"roles": ["TENANT-USER"]}`, 400, `Role "TENANT-USER" is not allowed. Allowed roles are: DEFAULT-RULE-ADMIN, TASK-ADMIN, VALIDATION-USER, ORG-AUDITOR, ORG-ADMIN`},
		"an unknown role":         {"POST", "/auth/api_keys/", `{"roles": ["VALIDATION-USER", "ROOT"]}`, 400, `Role "ROOT" is not allowed. Allowed roles are: DEFAULT-RULE-ADMIN, TASK-ADMIN, VALIDATION-USER, ORG-AUDITOR, ORG-ADMIN`},
		"no JSON":                 {"POST", "/auth/api_keys/", `{"roles"`, 422, `The body must be a JSON object, such as {"description": "my key"}`},
		"no body":                 {"POST", "/auth/api_keys/", ``, 422, `The body must be a JSON object, such as {"description": "my key"}`},
		"null":                    {"POST", "/auth/api_keys/", `null`, 422, `The body must be a JSON object, such as {"description": "my key"}`},
		"a list":                  {"POST", "/auth/api_keys/", `[]`, 422, `The body must be a JSON object, such as {"description": "my key"}`},
		"a role that is a text":   {"POST", "/auth/api_keys/", `{"roles": "TASK-ADMIN"}`, 422, `roles: expected a JSON list of strings`},
		"a description of digits": {"POST", "/auth/api_keys/", `{"description": 1}`, 422, `description: expected a JSON string`},
		"a description too long":  {"POST", "/auth/api_keys/", `{"description": "` + strings.Repeat("x", 1001) + `"}`, 400, `description: is too long; use at most 1000 characters`},
		"a large body":            {"POST", "/auth/api_keys/", `{"description": "` + strings.Repeat("x", 65<<10) + `"}`, 413, `The body is too large`},
		"an unknown id":           {"GET", "/auth/api_keys/00000000-0000-4000-8000-000000000000", ``, 404, `API Key not found`},
		"an id of no form":        {"GET", "/auth/api_keys/x", ``, 404, `API Key not found`},
		"deactivating an unknown": {"DELETE", "/auth/api_keys/deactivate/x", ``, 404, `API Key not found`},
		"another method":          {"PUT", "/auth/api_keys/", `{}`, 405, `Method Not Allowed`},
		"deleting a shown path":   {"DELETE", "/auth/api_keys/x", ``, 405, `Method Not Allowed`},
		"reading a deactivation":  {"GET", "/auth/api_keys/deactivate/x", ``, 405, `Method Not Allowed`},
	} {
		code, text := a.call(servertest.EngineAdminKey, c.method, c.path, c.body)
		got := decode[struct{ Detail string }](t, text)
		if code != c.want || got.Detail != c.detail {
			t.Errorf("%s: %d %s\nwant %d %s", name, code, text, c.want, c.detail)
		}
	}
}

func TestOnlyTheMasterKeyManagesKeysHoweverThePathIsSpelled(t *testing.T) {
	a := start(t)
	// ORG-ADMIN may do anything that a key may do elsewhere; it manages no keys.
	ordinary := a.create(`{"roles": ["ORG-ADMIN"]}`)
	for _, c := range []struct{ method, path string }{
		{"GET", "/auth/api_keys/"}, {"GET", "/auth/api_keys"}, {"GET", "/auth/api%5fkeys"}, {"GET", "/auth/api%5Fkeys/"},
		{"POST", "/auth/api_keys/"}, {"POST", "/auth/api_keys"}, {"POST", "/auth/api%5fkeys/"},
		{"GET", "/auth/api_keys/" + ordinary.ID}, {"GET", "/auth/api_keys/%30" + ordinary.ID[1:]},
		{"DELETE", "/auth/api_keys/deactivate/" + ordinary.ID}, {"DELETE", "/auth/api_keys/%64eactivate/" + ordinary.ID},
		{"DELETE", "/auth/api%5fkeys/deactivate/" + ordinary.ID}, {"DELETE", "/auth/api_keys/deactivate/" + ordinary.ID + "?x=%2e"},
	} {
		for name, credential := range map[string]string{"an ordinary key": ordinary.Key, "no key": "", "a wrong key": servertest.AdminKey} {
			if code, text := a.call(credential, c.method, c.path, `{"roles": ["ORG-ADMIN"]}`); code != http.StatusUnauthorized || !strings.Contains(text, `"detail"`) {
				t.Errorf("%s on %s %s: %d %s, want 401", name, c.method, c.path, code, text)
			}
		}
	}
	code, text := a.call(servertest.EngineAdminKey, "GET", "/auth/api_keys", "")
	if list := decode[[]key](t, text); code != http.StatusOK || len(list) != 1 {
		t.Errorf("without the last slash: %d %s, want the one key, still active", code, text)
	}
}

func TestHeadersThatClaimAnIdentityAreNotTrusted(t *testing.T) {
	a := start(t)
	request, err := http.NewRequestWithContext(t.Context(), "GET", a.URL+"/auth/api_keys/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Auth-Method", "X-Permissions", "X-User-Id", "X-Org-Id"} {
		request.Header.Set(name, "admin_key")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("%d, want 401", response.StatusCode)
	}
}

const small = `
profile: arthur-engine
extends: arthur-engine
key_management: { organization: default, max_active: 5, roles: [VALIDATION-USER], default_role: VALIDATION-USER }
`

func TestLimitOfActiveKeysHoldsUnderConcurrency(t *testing.T) {
	a := start(t, small)
	var created, refused int
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range 24 {
		clients.Go(func() {
			code, text := a.call(servertest.EngineAdminKey, "POST", "/auth/api_keys/", `{}`)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case code == http.StatusOK:
				created++
			case code == http.StatusBadRequest && text == `{"detail":"Maximum number of active keys reached"}`:
				refused++
			default:
				t.Errorf("%d %s", code, text)
			}
		})
	}
	clients.Wait()
	if created != 5 || refused != 19 {
		t.Errorf("%d keys were created and %d refused, want 5 and 19", created, refused)
	}
	_, text := a.call(servertest.EngineAdminKey, "GET", "/auth/api_keys/", "")
	list := decode[[]key](t, text)
	if len(list) != 5 {
		t.Fatalf("%d keys are listed, want 5", len(list))
	}
	a.call(servertest.EngineAdminKey, "DELETE", "/auth/api_keys/deactivate/"+list[0].ID, "")
	a.create(`{}`) // there is room again
}

func TestEventsNameTheProfilesMasterKeyAndNotTheServers(t *testing.T) {
	a := start(t)
	created := a.create(`{}`)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+servertest.AdminKey)
	list, err := adminv1.NewAuditServiceClient(a.Dial(t)).ListAuditEvents(ctx, &adminv1.ListAuditEventsRequest{Subject: created.ID})
	if err != nil || len(list.GetEvents()) != 1 || list.GetEvents()[0].GetActor() != "profile_admin_key" {
		t.Errorf("the events are %v (%v)", list.GetEvents(), err)
	}
	if strings.Contains(a.Log(), created.Key) || strings.Contains(a.Log(), servertest.EngineAdminKey) {
		t.Error("the log holds a secret")
	}
}
