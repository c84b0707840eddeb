package envoy_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	adminv1 "postern/proto/postern/admin/v1"
)

// craftForgeries changes a good token of artos in the ways that attackers do.
func (s *system) craftForgeries(ctx context.Context, made map[string]string) error {
	good := s.variables["ARTOS_TOKEN"]
	parts := strings.Split(good, ".")
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	if err != nil {
		return err
	}
	claims := parsed.Claims.(jwt.MapClaims)
	other := maps.Clone(claims)
	other["org_id"] = "org_other"
	body, err := json.Marshal(other)
	if err != nil {
		return err
	}
	made["ARTOS_OTHER_PAYLOAD_TOKEN"] = parts[0] + "." + base64.RawURLEncoding.EncodeToString(body) + "." + parts[2]
	made["ARTOS_BAD_SIGNATURE_TOKEN"] = parts[0] + "." + parts[1] + "." + exchangeAt(parts[2], 20)
	made["ARTOS_CUT_TOKEN"] = parts[0] + "." + parts[1]

	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	made["ARTOS_NONE_TOKEN"] = none + "." + parts[1] + "."
	made["ARTOS_NONE_SIGNED_TOKEN"] = none + "." + parts[1] + "." + parts[2]

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	stranger := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	stranger.Header["kid"] = parsed.Header["kid"]
	if made["ARTOS_STRANGER_TOKEN"], err = stranger.SignedString(private); err != nil {
		return err
	}
	stranger.Header["jwk"] = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(public)}
	if made["ARTOS_OWN_JWK_TOKEN"], err = stranger.SignedString(private); err != nil {
		return err
	}
	published, err := s.publishedKeys(ctx)
	if err != nil {
		return err
	}
	confused := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	confused.Header["kid"] = parsed.Header["kid"]
	made["ARTOS_CONFUSED_TOKEN"], err = confused.SignedString(published)
	return err
}

// publishedKeys is Postern's public Ed25519 key, which a confused verifier would
// take for the secret of an HMAC.
func (s *system) publishedKeys(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.variables["POSTERN_ADMIN_URL"]+"/.well-known/jwks.json", nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var set struct {
		Keys []struct{ Kty, X, K string }
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("the published keys: %w", err)
	}
	for _, key := range set.Keys {
		if key.K != "" || key.Kty == "oct" {
			return nil, errors.New("the published keys: a secret one is among them")
		}
		if key.Kty == "OKP" {
			return base64.RawURLEncoding.DecodeString(key.X)
		}
	}
	return nil, fmt.Errorf("the published keys: none is Ed25519: %s", text)
}

// craftSessions mints what Clerk might.
func (s *system) craftSessions(ctx context.Context, made map[string]string) error {
	const clerk, app = "https://clerk.artanis.ai", "https://app.artanis.ai"
	d := s.directory()
	for _, u := range []*adminv1.CreateUserRequest{
		{Id: "user_loner", Issuer: clerk, Subject: "user_2loner"}, // a member of nothing
		{Id: "user_barred", Issuer: clerk, Subject: "user_2barred"},
	} {
		if _, err := d.users.CreateUser(ctx, u); err != nil {
			return err
		}
	}
	_, err1 := d.users.PutMembership(ctx, &adminv1.PutMembershipRequest{OrganizationId: "org_my", UserId: "user_barred", Permissions: []string{"read"}})
	_, err2 := d.users.DisableUser(ctx, &adminv1.DisableUserRequest{Id: "user_barred"})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return s.mint(made, "clerk", clerk, "ARTANIS_%s_SESSION", []minted{
		{"LONER", map[string]any{"sub": "user_2loner", "azp": app}, time.Hour},
		{"BARRED", map[string]any{"sub": "user_2barred", "azp": app}, time.Hour},
		{"UNKNOWN", map[string]any{"sub": "user_2nobody", "azp": app}, time.Hour},
		{"EXPIRED", map[string]any{"sub": "user_2demo", "azp": app}, -time.Minute},
		{"ENDLESS", map[string]any{"sub": "user_2demo", "azp": app, "exp": nil}, time.Hour},
		{"OTHER_APP", map[string]any{"sub": "user_2demo", "azp": "https://evil.example"}, time.Hour},
		{"OTHER_ISSUER", map[string]any{"sub": "user_2demo", "azp": app, "iss": "https://clerk.evil.example"}, time.Hour},
	})
}

// craftPlatform mints what Keycloak might.
func (s *system) craftPlatform(_ context.Context, made map[string]string) error {
	with := func(role string, changes ...any) map[string]any {
		claims := map[string]any{
			"sub": "8f7d2f8e", "aud": "arthur-api", "org_id": "org_my", "org_slug": "my-org",
			"realm_access": map[string]any{"roles": []string{role}},
		}
		for i := 0; i+1 < len(changes); i += 2 {
			claims[changes[i].(string)] = changes[i+1]
		}
		return claims
	}
	return s.mint(made, "keycloak", "https://platform.arthur.ai/realms/arthur", "PLATFORM_%s_TOKEN", []minted{
		{"ADMIN", with("org-admin"), time.Hour},
		{"MEMBER", with("org-member"), time.Hour},
		{"DATA_PLANE", with("data-plane"), time.Hour},
		{"NO_ORG", with("org-admin", "org_id", nil, "org_slug", nil), time.Hour},
		{"DISABLED_ORG", with("org-admin", "org_id", "org_disabled", "org_slug", "disabled-org"), time.Hour},
		{"EXPIRED", with("org-admin"), -time.Minute},
		{"ENDLESS", with("org-admin", "exp", nil), time.Hour},
		{"EARLY", with("org-admin", "nbf", time.Now().Add(time.Hour).Unix()), 2 * time.Hour},
		{"OTHER_AUDIENCE", with("org-admin", "aud", "account"), time.Hour},
		{"NO_AUDIENCE", with("org-admin", "aud", nil), time.Hour},
		{"OTHER_ISSUER", with("org-admin", "iss", "https://platform.arthur.ai/realms/master"), time.Hour},
		{"ENGINE_ADMIN", with("ORG-ADMIN"), time.Hour},
		{"ENGINE_USER", with("VALIDATION-USER"), time.Hour},
	})
}

type minted struct {
	name   string
	claims map[string]any
	life   time.Duration
}

func (s *system) mint(made map[string]string, file, name, pattern string, all []minted) error {
	provider, err := s.identityProvider(file, name)
	if err != nil {
		return err
	}
	for _, m := range all {
		if made[fmt.Sprintf(pattern, m.name)], err = provider.Mint(m.claims, m.life); err != nil {
			return err
		}
	}
	return nil
}
