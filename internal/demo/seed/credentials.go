package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"postern/authz/reason"
	adminv1 "postern/proto/postern/admin/v1"
)

// credential is one variable of the demo: a request that uses it, what the engine
// must say of that request, and how to make a new one.
type credential struct {
	name    string
	want    string // the Reason's name
	profile string
	method  string
	path    string
	headers [][2]string // $ stands for the credential
	issue   func(context.Context) (string, error)
}

func (s *seeder) credentials() []credential {
	bearer := [][2]string{{"authorization", "Bearer $"}}
	artos := credential{profile: "artos", method: "GET", path: "/api/v1/templates/", headers: bearer}
	datasets := credential{profile: "datasets", method: "GET", path: "/api/v1/companies/" + CompanyID + "/datasets/", headers: bearer}
	artanis := credential{profile: "artanis", method: "GET", path: "/api/prompts?projectSlug=" + Project, headers: [][2]string{{"x-api-key", "$"}, {"x-org-slug", OrgSlug}}}
	session := credential{profile: "artanis", method: "GET", path: artanis.path, headers: [][2]string{bearer[0], {"x-org-slug", OrgSlug}}}
	platform := credential{profile: "arthur-platform", method: "POST", path: "/api/v1/organizations", headers: bearer}
	engine := credential{profile: "arthur-engine", method: "GET", path: "/api/v2/tasks", headers: bearer}
	jobs := credential{profile: "authenta", method: "GET", path: "/api/v1/jobs", headers: bearer}
	post := credential{profile: "authenta", method: "POST", path: "/api/v1/facesim/v1", headers: bearer}

	everything := []string{"READ", "WRITE", "DELETE"}
	return []credential{
		artos.as("ARTOS_TOKEN", reason.Allowed, s.token("artos", orgID, userID, privateLife)),
		artos.as("ARTOS_EXPIRED_TOKEN", reason.Expired, s.token("artos", orgID, userID, time.Second)),
		artos.as("ARTOS_REVOKED_TOKEN", reason.Revoked, s.revokedToken("artos", orgID, userID)),
		artos.as("ARTOS_NO_ORG_TOKEN", reason.NoOrganization, s.token("artos", "", strayUserID, privateLife)),
		artos.as("ARTOS_DISABLED_ORG_TOKEN", reason.OrganizationDisabled, s.disabledOrgToken),

		datasets.as("DATASETS_TOKEN", reason.Allowed, s.token("datasets", CompanyID, userID, privateLife)),
		datasets.as("DATASETS_EXPIRED_TOKEN", reason.Expired, s.token("datasets", CompanyID, userID, time.Second)),

		artanis.as("ARTANIS_API_KEY", reason.Allowed, s.key("artanis", orgID, "demo", "read", "write")),
		session.as("ARTANIS_SESSION_TOKEN", reason.Allowed, func(context.Context) (string, error) {
			return s.Sessions.Mint(map[string]any{"sub": SessionSubject, "azp": "https://app.artanis.ai", "sid": "sess_demo"}, sessionLife)
		}),

		platform.as("ARTHUR_PLATFORM_TOKEN", reason.Allowed, s.platformToken("org-admin", "org-member", "data-plane")),
		platform.as("ARTHUR_PLATFORM_WEAK_TOKEN", reason.Forbidden, s.platformToken("default-roles-arthur", "offline_access")),

		engine.as("ARTHUR_API_KEY", reason.Allowed, s.engineKey),

		jobs.as("AUTHENTA_API_KEY", reason.Allowed, s.key("authenta", mediaOrgID, "demo", everything...)),
		post.as("AUTHENTA_READONLY_KEY", reason.Forbidden, s.key("authenta", mediaOrgID, "demo, read only", "READ")),
		jobs.as("AUTHENTA_NOBALANCE_KEY", reason.Allowed, s.key("authenta", emptyOrgID, "demo, no credits", everything...)),
		jobs.as("AUTHENTA_REVOKED_KEY", reason.Revoked, s.revokedKey("authenta", mediaOrgID, "demo, revoked", everything...)),
	}
}

// as completes a request to a credential.
func (c credential) as(name string, want reason.Reason, issue func(context.Context) (string, error)) credential {
	c.name, c.want, c.issue = name, want.String(), issue
	return c
}

func (s *seeder) token(profile, org, user string, life time.Duration) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		issued, err := s.issueToken(ctx, profile, org, user, life)
		return issued.GetSecret(), err
	}
}

func (s *seeder) issueToken(ctx context.Context, profile, org, user string, life time.Duration) (*adminv1.IssueTokenResponse, error) {
	return s.tokens.IssueToken(ctx, &adminv1.IssueTokenRequest{
		Profile: profile, OrganizationId: org, UserId: user, Name: "demo",
		Kind:       adminv1.TokenKind_TOKEN_KIND_PRIVATE,
		Expiration: &adminv1.IssueTokenRequest_Ttl{Ttl: durationpb.New(life)},
	})
}

func (s *seeder) revokedToken(profile, org, user string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		issued, err := s.issueToken(ctx, profile, org, user, privateLife)
		if err != nil {
			return "", err
		}
		_, err = s.tokens.RevokeToken(ctx, &adminv1.RevokeTokenRequest{Id: issued.GetToken().GetId()})
		return issued.GetSecret(), err
	}
}

// disabledOrgToken is issued while the organization is on, and then switched off
// with it.
func (s *seeder) disabledOrgToken(ctx context.Context) (string, error) {
	if _, err := s.organizations.EnableOrganization(ctx, &adminv1.EnableOrganizationRequest{Id: disabledOrgID}); err != nil {
		return "", err
	}
	issued, err := s.issueToken(ctx, "artos", disabledOrgID, userID, privateLife)
	if err != nil {
		return "", err
	}
	_, err = s.organizations.DisableOrganization(ctx, &adminv1.DisableOrganizationRequest{Id: disabledOrgID})
	return issued.GetSecret(), err
}

func (s *seeder) key(profile, org, name string, permissions ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		created, err := s.createKey(ctx, profile, org, name, permissions)
		return created.GetSecret(), err
	}
}

func (s *seeder) createKey(ctx context.Context, profile, org, name string, permissions []string) (*adminv1.CreateKeyResponse, error) {
	return s.keys.CreateKey(ctx, &adminv1.CreateKeyRequest{Profile: profile, OrganizationId: org, Name: name, Permissions: permissions})
}

func (s *seeder) revokedKey(profile, org, name string, permissions ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		created, err := s.createKey(ctx, profile, org, name, permissions)
		if err != nil {
			return "", err
		}
		_, err = s.keys.RevokeKey(ctx, &adminv1.RevokeKeyRequest{Id: created.GetKey().GetId()})
		return created.GetSecret(), err
	}
}

// platformToken is what Keycloak issues to someone with the realm roles.
func (s *seeder) platformToken(roles ...string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		return s.Platform.Mint(map[string]any{
			"sub": "8f7d2f8e-0a51-4a3c-9d3a-3f0f6a0c1d2e", "aud": []string{"arthur-api", "account"}, "azp": "scope-cli-client", "typ": "Bearer",
			"org_id": orgID, "org_slug": OrgSlug, "realm_access": map[string]any{"roles": roles},
		}, sessionLife)
	}
}

// engineKey is made as Arthur's document shows: with the admin key, through Envoy.
func (s *seeder) engineKey(ctx context.Context) (string, error) {
	body := bytes.NewBufferString(`{"description": "demo"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.EngineURL+"/auth/api_keys/", body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+s.EngineKey)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("POST /auth/api_keys/ answered %s: %s", response.Status, text)
	}
	var created struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(text, &created); err != nil {
		return "", fmt.Errorf("POST /auth/api_keys/: %w", err)
	}
	return created.Key, nil
}
