package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"postern/internal/testenv/servertest"

	adminv1 "postern/proto/postern/admin/v1"
)

// at reads a member of a decoded answer, such as "key.id".
func at(t *testing.T, body map[string]any, path string) any {
	t.Helper()
	var value any = body
	for name := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("%s: %v is no object", path, value)
		}
		value = object[name]
	}
	return value
}

// script is a REST conversation, whose later steps use what the earlier answered.
type script struct {
	t     *testing.T
	s     *servertest.Server
	names *strings.Replacer
	pairs []string
}

// do sends a request that must be answered 200, and returns what it answered.
func (c *script) do(method, path, body string) map[string]any {
	c.t.Helper()
	c.names = strings.NewReplacer(c.pairs...)
	code, _, answer := rest(c.t, c.s, servertest.AdminKey, method, c.names.Replace(path), c.names.Replace(body))
	if code != http.StatusOK {
		c.t.Fatalf("%s %s: %d %v", method, path, code, answer)
	}
	return answer
}

// keep names a member of an answer for later steps, as $name.
func (c *script) keep(name string, answer map[string]any, path string) {
	c.pairs = append(c.pairs, "$"+name, fmt.Sprint(at(c.t, answer, path)))
}

// is asks that a member of an answer has a value.
func (c *script) is(answer map[string]any, path string, want any) {
	c.t.Helper()
	if got := at(c.t, answer, path); got != want {
		c.t.Errorf("%s is %v, want %v", path, got, want)
	}
}

func (c *script) length(answer map[string]any, path string, want int) {
	c.t.Helper()
	if got, _ := at(c.t, answer, path).([]any); len(got) != want {
		c.t.Errorf("%s has %d entries, want %d: %v", path, len(got), want, got)
	}
}

func TestRESTMirrorsEveryCall(t *testing.T) {
	c := &script{t: t, s: servertest.Start(t)}

	org := c.do("POST", "/v1/organizations", `{"slug": "my-org", "plan": "free"}`)
	c.keep("org", org, "organization.id")
	c.is(org, "organization.name", "my-org")
	c.is(c.do("GET", "/v1/organizations/$org", ""), "organization.slug", "my-org")
	c.is(c.do("GET", "/v1/organizations/by-slug/my-org", ""), "organization.plan", "free")
	c.length(c.do("GET", "/v1/organizations?page_size=10", ""), "organizations", 1)
	disabled := c.do("POST", "/v1/organizations/$org:disable", "")
	c.is(disabled, "organization.disabled", true)
	c.is(disabled, "confirmation.in_force", 1.0)
	c.is(disabled, "confirmation.replicas", 1.0)
	c.is(c.do("POST", "/v1/organizations/$org:enable", ""), "organization.disabled", false)

	c.keep("user", c.do("POST", "/v1/users", `{"id": "auth0:ann.b", "email": "ann@example.com"}`), "user.id")
	c.is(c.do("GET", "/v1/users/$user", ""), "user.subject", "auth0:ann.b")
	c.is(c.do("POST", "/v1/users/$user:disable", ""), "user.disabled", true)
	c.is(c.do("POST", "/v1/users/$user:enable", ""), "user.disabled", false)
	c.is(c.do("PUT", "/v1/organizations/$org/members/$user", `{"permissions": ["read", "write"]}`), "confirmation.in_force", 1.0)
	c.length(c.do("GET", "/v1/users?organization_id=$org", ""), "users", 1)
	c.length(c.do("GET", "/v1/users/$user/memberships", ""), "memberships", 1)

	key := c.do("POST", "/v1/keys", `{"profile": "authenta", "organization_id": "$org", "permissions": ["READ"], "ttl": "3600s"}`)
	c.keep("key", key, "key.id")
	c.is(key, "key.state", "KEY_STATE_ACTIVE")
	if secret := fmt.Sprint(key["secret"]); !strings.HasPrefix(secret, "api_") {
		t.Errorf("the raw key is not in the profile's format")
	}
	shown := c.do("GET", "/v1/keys/$key", "")
	c.is(shown, "key.organization_id", at(t, org, "organization.id"))
	c.is(shown, "key.use_count", "0")
	c.is(shown, "key.last_used_time", nil)
	if _, told := shown["secret"]; told {
		t.Error("showing a key tells a secret")
	}
	c.length(c.do("GET", "/v1/keys?profile=authenta&active_only=true", ""), "keys", 1)
	c.is(c.do("POST", "/v1/keys/$key:disable", ""), "key.state", "KEY_STATE_DISABLED")
	c.is(c.do("POST", "/v1/keys/$key:enable", ""), "key.state", "KEY_STATE_ACTIVE")
	rotated := c.do("POST", "/v1/keys/$key:rotate", `{"overlap": "60s"}`)
	c.keep("successor", rotated, "successor.id")
	c.is(rotated, "key.successor_id", at(t, rotated, "successor.id"))
	c.is(c.do("POST", "/v1/keys/$successor:revoke", ""), "key.state", "KEY_STATE_REVOKED")

	token := c.do("POST", "/v1/tokens", `{"profile": "artos", "user_id": "$user", "organization_id": "$org", "kind": "TOKEN_KIND_SESSION"}`)
	c.keep("token", token, "token.id")
	c.length(token, "token.permissions", 2)
	c.is(c.do("GET", "/v1/tokens/$token", ""), "token.kind", "TOKEN_KIND_SESSION")
	c.length(c.do("GET", "/v1/tokens?user_id=$user&kind=TOKEN_KIND_SESSION", ""), "tokens", 1)
	renewed := c.do("POST", "/v1/tokens/$token:rotate", `{"ttl": "60s"}`)
	if at(t, renewed, "token.revoke_time") == nil {
		t.Error("the rotated token is not revoked")
	}
	c.keep("renewed", renewed, "successor.id")
	c.is(c.do("POST", "/v1/tokens/$renewed:revoke", `{}`), "confirmation.in_force", 1.0)
	c.is(c.do("POST", "/v1/tokens/foreign-jti:revoke", `{"issuer": "https://clerk.example.com"}`), "issuer", "https://clerk.example.com")
	c.do("POST", "/v1/tokens", `{"profile": "artos", "user_id": "$user"}`)
	c.is(c.do("POST", "/v1/users/$user:revokeTokens", ""), "revoked_count", 1.0)

	resource := c.do("POST", "/v1/resources", `{"kind": "project", "slug": "my-project", "organization_id": "$org"}`)
	c.keep("resource", resource, "resource.id")
	c.length(c.do("GET", "/v1/resources?kind=project", ""), "resources", 1)
	c.is(c.do("DELETE", "/v1/resources/project/$resource", ""), "confirmation.in_force", 1.0)

	c.is(c.do("POST", "/v1/organizations/$org/credits:topUp", `{"amount": "100"}`), "account.balance", "100")
	c.is(c.do("GET", "/v1/organizations/$org/credits", ""), "account.pay_as_you_go", false)
	c.is(c.do("POST", "/v1/organizations/$org/credits:setPayAsYouGo", `{"enabled": true}`), "account.pay_as_you_go", true)
	c.length(c.do("GET", "/v1/organizations/$org/ledger", ""), "entries", 1)

	c.is(c.do("DELETE", "/v1/organizations/$org/members/$user", ""), "confirmation.in_force", 1.0)
	c.length(c.do("GET", "/v1/audit?action=key.revoke", ""), "events", 1)
	fleet := c.do("GET", "/v1/replicas", "")
	c.length(fleet, "replicas", 1)
	c.is(fleet["replicas"].([]any)[0].(map[string]any), "lag", "0")
	c.is(fleet["replicas"].([]any)[0].(map[string]any), "applied_revision", fleet["latest_revision"])
	c.is(c.do("POST", "/v1/check", `{"profile": "artos", "path": "/api/v1/search/status"}`), "reason", "public")
}

func TestRefusalsNameTheFieldTheProblemAndTheRemedyOnBothDoors(t *testing.T) {
	s := servertest.Start(t)
	client := adminv1.NewOrganizationServiceClient(s.Dial(t))
	_, err := client.CreateOrganization(withKey(t, servertest.AdminKey), &adminv1.CreateOrganizationRequest{Slug: "My Org", Id: "a b"})
	refused := status.Convert(err)
	want := "id: is not an identifier; use 1 to 64 of A-Z a-z 0-9 _ . : -\n" +
		"slug: is not a slug; use 1 to 63 of a-z 0-9 -, not beginning with a hyphen"
	if refused.Code() != codes.InvalidArgument || refused.Message() != want {
		t.Errorf("gRPC: %v", err)
	}
	violations := refused.Details()[0].(*errdetails.BadRequest).GetFieldViolations()
	if len(violations) != 2 || violations[1].GetField() != "slug" {
		t.Errorf("gRPC details: %v", violations)
	}
	code, _, body := rest(t, s, servertest.AdminKey, "POST", "/v1/organizations", `{"slug": "My Org", "id": "a b"}`)
	if code != http.StatusBadRequest || body["message"] != want {
		t.Errorf("REST: %d %v", code, body)
	}
}

func TestCodesOfRefusalsAreTheUsualOnes(t *testing.T) {
	s := servertest.Start(t)
	for _, step := range []struct {
		name, method, path, body string
		want                     int
		message                  string
	}{
		{"a new slug", "POST", "/v1/organizations", `{"id": "o1", "slug": "one"}`, 200, ""},
		{"a slug that is taken", "POST", "/v1/organizations", `{"slug": "one"}`, 409, "exists already"},
		{"an organization that is not there", "GET", "/v1/organizations/none", "", 404, `"none"`},
		{"a key for an organization that is not there", "POST", "/v1/keys", `{"profile": "authenta", "organization_id": "none"}`, 400, "organization_id"},
		{"a key of a profile without keys", "POST", "/v1/keys", `{"profile": "artos", "organization_id": "o1"}`, 400, "has no API keys"},
		{"a page token of nobody", "GET", "/v1/keys?page_token=nonsense", "", 400, "page_token"},
		{"a body that is no JSON", "POST", "/v1/organizations", `{"slug"`, 400, ""},
		{"another method", "PATCH", "/v1/organizations", "{}", 405, "no such method"},
	} {
		code, _, body := rest(t, s, servertest.AdminKey, step.method, step.path, step.body)
		if code != step.want || !strings.Contains(fmt.Sprint(body["message"]), step.message) {
			t.Errorf("%s: %d %v, want %d with %q", step.name, code, body, step.want, step.message)
		}
	}
}

// engineSays asks the engine about one request with the header lines.
func engineSays(ctx context.Context, t *testing.T, decisions adminv1.DecisionServiceClient, profile, path, method string, headers ...string) *adminv1.CheckResponse {
	t.Helper()
	request := &adminv1.CheckRequest{Profile: profile, Path: path, Method: method}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		request.Headers = append(request.Headers, &adminv1.Header{Name: name, Value: value})
	}
	response, err := decisions.Check(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestWithdrawnKeysAreRefusedByTheVeryNextDecision(t *testing.T) {
	conn := servertest.Start(t).Dial(t)
	ctx := withKey(t, servertest.AdminKey)
	keys, decisions := adminv1.NewKeyServiceClient(conn), adminv1.NewDecisionServiceClient(conn)
	if _, err := adminv1.NewOrganizationServiceClient(conn).CreateOrganization(ctx, &adminv1.CreateOrganizationRequest{Id: "o1", Slug: "one"}); err != nil {
		t.Fatal(err)
	}
	create := func() (id, secret string) {
		created, err := keys.CreateKey(ctx, &adminv1.CreateKeyRequest{Profile: "authenta", OrganizationId: "o1", Permissions: []string{"READ"}})
		if err != nil {
			t.Fatal(err)
		}
		return created.GetKey().GetId(), created.GetSecret()
	}
	reason := func(secret string) string {
		return engineSays(ctx, t, decisions, "authenta", "/api/v1/media", "GET", "authorization: Bearer "+secret).GetReason()
	}
	for name, withdraw := range map[string]struct {
		call func(id string) error
		want string
	}{
		"revoked":  {func(id string) error { _, err := keys.RevokeKey(ctx, &adminv1.RevokeKeyRequest{Id: id}); return err }, "revoked"},
		"disabled": {func(id string) error { _, err := keys.DisableKey(ctx, &adminv1.DisableKeyRequest{Id: id}); return err }, "disabled"},
		"rotated":  {func(id string) error { _, err := keys.RotateKey(ctx, &adminv1.RotateKeyRequest{Id: id}); return err }, "expired"},
	} {
		id, secret := create()
		if got := reason(secret); got != "allowed" {
			t.Fatalf("%s: a new key is %s, want allowed", name, got)
		}
		if err := withdraw.call(id); err != nil {
			t.Fatal(err)
		}
		if got := reason(secret); got != withdraw.want {
			t.Errorf("%s: the decision is %s, want %s", name, got, withdraw.want)
		}
	}
}

func TestCheckDebitsNothingAndEchoesNoCredential(t *testing.T) {
	s := servertest.Start(t)
	conn, ctx := s.Dial(t), withKey(t, servertest.AdminKey)
	credits := adminv1.NewCreditServiceClient(conn)
	for _, err := range []error{
		second(adminv1.NewOrganizationServiceClient(conn).CreateOrganization(ctx, &adminv1.CreateOrganizationRequest{Id: "o1", Slug: "one"})),
		second(credits.TopUp(ctx, &adminv1.TopUpRequest{OrganizationId: "o1", Amount: 1})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	created, err := adminv1.NewKeyServiceClient(conn).CreateKey(ctx, &adminv1.CreateKeyRequest{Profile: "authenta", OrganizationId: "o1", Permissions: []string{"WRITE"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		response := engineSays(ctx, t, adminv1.NewDecisionServiceClient(conn), "authenta", "/api/v1/jobs", "POST", "Authorization: Bearer "+created.GetSecret())
		if response.GetDecision() != adminv1.Decision_DECISION_ALLOW || response.GetCost() != 1 || response.GetIdentity().GetOrganizationId() != "o1" {
			t.Fatalf("the decision is %v", response)
		}
		if strings.Contains(response.String(), created.GetSecret()) {
			t.Error("the answer holds the credential")
		}
	}
	account, err := credits.GetAccount(ctx, &adminv1.GetAccountRequest{OrganizationId: "o1"})
	if err != nil || account.GetAccount().GetBalance() != 1 {
		t.Errorf("the account is %v (%v), want a balance of 1", account, err)
	}
	if log := s.Log(); strings.Contains(log, created.GetSecret()) || strings.Contains(log, servertest.AdminKey) {
		t.Error("the log holds a secret")
	}
}

// second drops an answer that only its error is asked of.
func second[T any](_ T, err error) error { return err }
