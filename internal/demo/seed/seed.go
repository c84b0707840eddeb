package seed

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"

	"postern/authz/reason"
	"postern/internal/demo/issuer"
	adminv1 "postern/proto/postern/admin/v1"
)

// How long what is issued lives, and how much of it must be left for it to be kept.
const (
	privateLife = 30 * 24 * time.Hour
	sessionLife = 12 * time.Hour
	leastLeft   = 6 * time.Hour
)

// Options say what to seed, and with whom to sign.
type Options struct {
	Admin     grpc.ClientConnInterface // the management API, with the admin key
	EngineURL string                   // arthur-engine, through Envoy
	EngineKey string                   // its administrator key
	Sessions  *issuer.Issuer           // stands in for Clerk
	Platform  *issuer.Issuer           // stands in for Keycloak
	Previous  map[string]string        // credentials of an earlier run, by variable
}

type seeder struct {
	Options
	organizations adminv1.OrganizationServiceClient
	users         adminv1.UserServiceClient
	resources     adminv1.ResourceServiceClient
	accounts      adminv1.CreditServiceClient
	keys          adminv1.KeyServiceClient
	tokens        adminv1.TokenServiceClient
	decisions     adminv1.DecisionServiceClient
}

// Run seeds everything and returns the credentials by the name of their variable.
func Run(ctx context.Context, o Options) (map[string]string, error) {
	s := &seeder{
		Options:       o,
		organizations: adminv1.NewOrganizationServiceClient(o.Admin),
		users:         adminv1.NewUserServiceClient(o.Admin),
		resources:     adminv1.NewResourceServiceClient(o.Admin),
		accounts:      adminv1.NewCreditServiceClient(o.Admin),
		keys:          adminv1.NewKeyServiceClient(o.Admin),
		tokens:        adminv1.NewTokenServiceClient(o.Admin),
		decisions:     adminv1.NewDecisionServiceClient(o.Admin),
	}
	if err := s.directory(ctx); err != nil {
		return nil, err
	}
	values := map[string]string{}
	for _, c := range s.credentials() {
		value := o.Previous[c.name]
		if value == "" || !outlives(value, c.want) || s.judge(ctx, c, value) != c.want {
			var err error
			if value, err = c.issue(ctx); err != nil {
				return nil, fmt.Errorf("make %s: %w", c.name, err)
			}
			if err := s.settle(ctx, c, value); err != nil {
				return nil, err
			}
		}
		values[c.name] = value
	}
	// The organization stays switched off between two runs, whatever a visitor did.
	_, err := s.organizations.DisableOrganization(ctx, &adminv1.DisableOrganizationRequest{Id: disabledOrgID})
	return values, err
}

// settle waits until the engine says of a new credential what the demo promises:
// one that is to be expired needs a second or two.
func (s *seeder) settle(ctx context.Context, c credential, value string) error {
	var have string
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
		if have = s.judge(ctx, c, value); have == c.want {
			return nil
		}
	}
	return fmt.Errorf("%s is %s for the engine, and should be %s", c.name, have, c.want)
}

// judge asks the engine for the true reason, without any effect.
func (s *seeder) judge(ctx context.Context, c credential, value string) string {
	request := &adminv1.CheckRequest{Profile: c.profile, Method: c.method, Path: c.path, Scheme: "http"}
	for _, h := range c.headers {
		request.Headers = append(request.Headers, &adminv1.Header{Name: h[0], Value: strings.ReplaceAll(h[1], "$", value)})
	}
	response, err := s.decisions.Check(ctx, request)
	if err != nil {
		return err.Error()
	}
	return response.GetReason()
}

// outlives reports whether a value keeps its meaning for a while: a token that is
// not to be expired says when it will be (RFC 7519 § 4.1.4), a key has no end.
func outlives(value, want string) bool {
	parts := strings.Split(value, ".")
	if want == reason.Expired.String() || len(parts) != 3 {
		return true
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var claims struct {
		Exp int64 `json:"exp"`
	}
	return json.Unmarshal(payload, &claims) == nil && time.Until(time.Unix(claims.Exp, 0)) > leastLeft
}
