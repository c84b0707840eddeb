package envoy_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "postern/proto/postern/admin/v1"
)

// Each credential is used through both Envoys first, so that it is remembered
// wherever it can be, and refused by the very next request.

type request struct {
	api, line string
	headers   []string
}

func (q request) allowed(t *testing.T) {
	t.Helper()
	for _, g := range world.gates {
		g.send(t, q.api, q.line, q.headers...).allowed(t)
	}
}

func (q request) denied(t *testing.T, status int, body string) {
	t.Helper()
	for _, g := range world.gates {
		g.send(t, q.api, q.line, q.headers...).denied(t, status, body)
	}
}

const (
	artosBarred   = `{"detail":"User has no organization or not authorized"}`
	artanisNoOrg  = `{"error":"The x-org-slug header is missing or names no organization of the caller"}`
	artanisNoKey  = `{"error":"Invalid x-api-key or session"}`
	artanisOrgOff = `{"error":"The organization is disabled"}`
)

// done fails the test where a call of the management API fails.
func done[T any](t *testing.T) func(T, error) {
	t.Helper()
	return func(_ T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRevokedKeyIsRefusedByTheNextRequest(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	id, key, err := d.key(ctx, "authenta", "org_media", "READ")
	if err != nil {
		t.Fatal(err)
	}
	use := request{"authenta", "GET /api/v1/jobs", bearer(key)}
	use.allowed(t)
	done[*adminv1.DisableKeyResponse](t)(d.keys.DisableKey(ctx, &adminv1.DisableKeyRequest{Id: id}))
	use.denied(t, 401, authentaInvalid)
	done[*adminv1.EnableKeyResponse](t)(d.keys.EnableKey(ctx, &adminv1.EnableKeyRequest{Id: id}))
	use.allowed(t)
	done[*adminv1.RevokeKeyResponse](t)(d.keys.RevokeKey(ctx, &adminv1.RevokeKeyRequest{Id: id}))
	for range 5 {
		use.denied(t, 401, authentaInvalid)
	}
}

func TestRotatedKeyEndsAtOnceOrAfterItsOverlap(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	for _, overlap := range []*durationpb.Duration{nil, durationpb.New(time.Minute)} {
		id, key, err := d.key(ctx, "artanis", "org_my", "read")
		if err != nil {
			t.Fatal(err)
		}
		use := func(key string) request {
			return request{"artanis", "GET /api/prompts", []string{"x-api-key: " + key, "x-org-slug: my-org"}}
		}
		use(key).allowed(t)
		rotated, err := d.keys.RotateKey(ctx, &adminv1.RotateKeyRequest{Id: id, Overlap: overlap})
		if err != nil {
			t.Fatal(err)
		}
		d.secrets.add(rotated.GetSecret())
		use(rotated.GetSecret()).allowed(t)
		if overlap == nil {
			use(key).denied(t, 401, artanisNoKey)
		} else {
			use(key).allowed(t)
		}
	}
}

func TestRevokedTokenIsRefusedByTheNextRequest(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	id, token, err := d.token(ctx, "artos", "org_my", "user_ada")
	if err != nil {
		t.Fatal(err)
	}
	use := request{"artos", "GET /api/v1/templates/", bearer(token)}
	use.allowed(t)
	done[*adminv1.RevokeTokenResponse](t)(d.tokens.RevokeToken(ctx, &adminv1.RevokeTokenRequest{Id: id}))
	use.denied(t, 401, artosInvalid)
}

// visitor is a user of an organization of its own, with a token of artos.
func visitor(ctx context.Context, t *testing.T, name string) (org, user string, use request) {
	t.Helper()
	d := world.directory()
	org, user = unique("org_"+name), unique("user_"+name)
	if err := d.tenant(ctx, org, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.member(ctx, org, &adminv1.CreateUserRequest{Id: user}, "read"); err != nil {
		t.Fatal(err)
	}
	_, token, err := d.token(ctx, "artos", org, user)
	if err != nil {
		t.Fatal(err)
	}
	use = request{"artos", "GET /api/v1/templates/", bearer(token)}
	use.allowed(t)
	return org, user, use
}

func TestOrganizationSwitchedOffRefusesItsTokensAndKeysAtOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	org, _, use := visitor(ctx, t, "paused")
	_, key, err := d.key(ctx, "artanis", org, "read")
	if err != nil {
		t.Fatal(err)
	}
	byKey := request{"artanis", "GET /api/prompts", []string{"x-api-key: " + key, "x-org-slug: " + slugOf(org)}}
	byKey.allowed(t)
	done[*adminv1.DisableOrganizationResponse](t)(d.organizations.DisableOrganization(ctx, &adminv1.DisableOrganizationRequest{Id: org}))
	use.denied(t, 403, artosBarred)
	byKey.denied(t, 403, artanisOrgOff)
	done[*adminv1.EnableOrganizationResponse](t)(d.organizations.EnableOrganization(ctx, &adminv1.EnableOrganizationRequest{Id: org}))
	use.allowed(t)
	byKey.allowed(t)
}

func TestUserWhoLeavesIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	org, user, use := visitor(ctx, t, "leaver")
	done[*adminv1.DeleteMembershipResponse](t)(d.users.DeleteMembership(ctx, &adminv1.DeleteMembershipRequest{OrganizationId: org, UserId: user}))
	use.denied(t, 403, artosBarred)
}

func TestUserSwitchedOffIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	_, user, use := visitor(ctx, t, "suspended")
	done[*adminv1.DisableUserResponse](t)(d.users.DisableUser(ctx, &adminv1.DisableUserRequest{Id: user}))
	use.denied(t, 403, artosBarred)
	done[*adminv1.EnableUserResponse](t)(d.users.EnableUser(ctx, &adminv1.EnableUserRequest{Id: user}))
	use.allowed(t)
}

func TestAllTokensOfAUserAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	_, user, use := visitor(ctx, t, "purged")
	done[*adminv1.RevokeUserTokensResponse](t)(d.tokens.RevokeUserTokens(ctx, &adminv1.RevokeUserTokensRequest{UserId: user}))
	use.denied(t, 401, artosInvalid)
}

func TestMembershipOpensAndClosesAnOrganizationToASessionAtOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	const clerk = "https://clerk.artanis.ai"
	org, user, subject := unique("org_club"), unique("user_guest"), unique("user_2guest")
	if err := d.tenant(ctx, org, 0); err != nil {
		t.Fatal(err)
	}
	done[*adminv1.CreateUserResponse](t)(d.users.CreateUser(ctx, &adminv1.CreateUserRequest{Id: user, Issuer: clerk, Subject: subject}))
	provider, err := world.identityProvider("clerk", clerk)
	if err != nil {
		t.Fatal(err)
	}
	session, err := provider.Mint(map[string]any{"sub": subject, "azp": "https://app.artanis.ai"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	world.secrets.add(session)
	use := request{"artanis", "GET /api/prompts", append(bearer(session), "x-org-slug: "+slugOf(org))}
	use.denied(t, 403, artanisNoOrg)
	done[*adminv1.PutMembershipResponse](t)(d.users.PutMembership(ctx, &adminv1.PutMembershipRequest{OrganizationId: org, UserId: user, Permissions: []string{"read"}}))
	use.allowed(t)
	done[*adminv1.DeleteMembershipResponse](t)(d.users.DeleteMembership(ctx, &adminv1.DeleteMembershipRequest{OrganizationId: org, UserId: user}))
	use.denied(t, 403, artanisNoOrg)
}

func TestResourceIsFoundAndLostAtOnce(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), world.directory()
	id, slug := unique("proj_brief"), slugOf(unique("brief"))
	use := request{"artanis", "GET /api/prompts?projectSlug=" + slug, []string{"x-api-key: $ARTANIS_API_KEY", "x-org-slug: my-org"}}
	const unknown, foreign = `{"error":"Resource does not exist"}`, `{"error":"The requested project or resource does not belong to the organization"}`
	use.denied(t, 404, unknown)
	done[*adminv1.CreateResourceResponse](t)(d.resources.CreateResource(ctx, &adminv1.CreateResourceRequest{Id: id + "_theirs", Kind: "project", Slug: slug, OrganizationId: "org_other"}))
	use.denied(t, 403, foreign)
	done[*adminv1.CreateResourceResponse](t)(d.resources.CreateResource(ctx, &adminv1.CreateResourceRequest{Id: id, Kind: "project", Slug: slug, OrganizationId: "org_my"}))
	use.allowed(t)
	done[*adminv1.DeleteResourceResponse](t)(d.resources.DeleteResource(ctx, &adminv1.DeleteResourceRequest{Kind: "project", Id: id}))
	use.denied(t, 403, foreign)
}
