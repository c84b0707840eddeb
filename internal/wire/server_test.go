package wire_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"postern/authz/identity"
	"postern/internal/config"
	"postern/internal/wire"
	adminv1 "postern/proto/postern/admin/v1"
	"postern/store/sqlite"
)

const adminKey = "an-admin-key-for-these-tests"

// system is a whole server on ephemeral loopback ports, and its clients.
type system struct {
	server *wire.Server
	check  authv3.AuthorizationClient
	health healthv1.HealthClient
	conn   *grpc.ClientConn // of the management API
	ctx    context.Context  // with the admin key
	stop   func() error     // ends the server and returns what Run returned
	path   string           // of the store
}

func start(t testing.TB, change func(*config.Config)) *system {
	t.Helper()
	t.Cleanup(func() {
		goleak.VerifyNone(t, goleak.IgnoreTopFunction("testing.(*T).Run"), goleak.IgnoreTopFunction("testing.(*T).Parallel"),
			goleak.IgnoreTopFunction("testing.(*B).run1"))
	})
	s := &system{path: filepath.Join(t.TempDir(), "postern.db")}
	if _, err := sqlite.Migrate(t.Context(), s.path); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Store.URL, c.Check.Listen, c.Admin.Listen = "sqlite://"+s.path, "127.0.0.1:0", "127.0.0.1:0"
	c.Admin.Key = identity.NewSecret(adminKey)
	if change != nil {
		change(&c)
	}
	env := func(name string) (string, bool) {
		return map[string]string{"GENAI_ENGINE_ADMIN_KEY": "the-engine-administrator"}[name], name == "GENAI_ENGINE_ADMIN_KEY"
	}
	var err error
	if s.server, err = wire.New(t.Context(), c, env, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.server.Run(ctx) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ran })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	checkConn := dial(t, s.server.CheckAddress())
	s.check, s.health = authv3.NewAuthorizationClient(checkConn), healthv1.NewHealthClient(checkConn)
	s.conn = dial(t, s.server.AdminAddress())
	s.ctx = metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+adminKey)
	return s
}

func dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func (s *system) org(t testing.TB, id string) {
	t.Helper()
	_, err := adminv1.NewOrganizationServiceClient(s.conn).CreateOrganization(s.ctx, &adminv1.CreateOrganizationRequest{Id: id, Slug: id})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *system) keys() adminv1.KeyServiceClient { return adminv1.NewKeyServiceClient(s.conn) }

func (s *system) key(t testing.TB, profile, org string, permissions ...string) *adminv1.CreateKeyResponse {
	t.Helper()
	return must[*adminv1.CreateKeyResponse](t)(s.keys().CreateKey(s.ctx, &adminv1.CreateKeyRequest{Profile: profile, OrganizationId: org, Permissions: permissions}))
}

// request is one Check of the profile with the headers as Envoy sends them raw.
func request(profile, method, path string, headers ...string) *authv3.CheckRequest {
	raw := &corev3.HeaderMap{}
	for i := 0; i+1 < len(headers); i += 2 {
		raw.Headers = append(raw.Headers, &corev3.HeaderValue{Key: headers[i], RawValue: []byte(headers[i+1])})
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: map[string]string{"profile": profile},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: fmt.Sprint(ids.Add(1)), Method: method, Path: path, Host: "127.0.0.1", HeaderMap: raw,
		}},
	}}
}

var ids atomic.Int64

// answer is the status a client would see: 200 for an allow.
func (s *system) answer(t *testing.T, r *authv3.CheckRequest) (int, string) {
	t.Helper()
	response, err := s.check.Check(t.Context(), r)
	if err != nil {
		t.Fatalf("Check returned an error, which Envoy answers in its own words: %v", err)
	}
	why := response.GetDynamicMetadata().GetFields()["postern"].GetStructValue().GetFields()["reason"].GetStringValue()
	if denied := response.GetDeniedResponse(); denied != nil {
		if response.GetStatus().GetCode() == 0 {
			t.Fatal("a denial has the status OK, which Envoy takes for an allow")
		}
		return int(denied.GetStatus().GetCode()), why
	}
	return http.StatusOK, why
}

func (s *system) expect(t *testing.T, what string, r *authv3.CheckRequest, status int, why string) {
	t.Helper()
	if gotStatus, gotWhy := s.answer(t, r); gotStatus != status || gotWhy != why {
		t.Errorf("%s: %d %s, want %d %s", what, gotStatus, gotWhy, status, why)
	}
}

func jobs(secret string) *authv3.CheckRequest {
	return request("authenta", "GET", "/api/v1/jobs", "authorization", "Bearer "+secret)
}

func TestARevokedKeyIsRefusedOnTheVeryNextRequest(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	for range 50 {
		key := s.key(t, "authenta", "acme", "READ")
		s.expect(t, "a new key", jobs(key.Secret), 200, "allowed")
		s.expect(t, "the same key, now cached", jobs(key.Secret), 200, "allowed")
		revoked := must[*adminv1.RevokeKeyResponse](t)(s.keys().RevokeKey(s.ctx, &adminv1.RevokeKeyRequest{Id: key.Key.Id}))
		s.expect(t, "the revoked key", jobs(key.Secret), 401, "revoked")
		if c := revoked.GetConfirmation(); c.GetInForce() != 1 || c.GetReplicas() != 1 {
			t.Errorf("the confirmation says %q", c.GetSummary())
		}
	}
}

func TestASlowKeyIsRefusedOnTheVeryNextRequestAfterItsRevocation(t *testing.T) {
	s := start(t, nil)
	s.org(t, "default")
	key := s.key(t, "arthur-engine", "default", "VALIDATION-USER")
	call := func() *authv3.CheckRequest {
		return request("arthur-engine", "GET", "/api/v2/tasks", "authorization", "Bearer "+key.Secret)
	}
	s.expect(t, "a new key", call(), 200, "allowed")
	must[*adminv1.RevokeKeyResponse](t)(s.keys().RevokeKey(s.ctx, &adminv1.RevokeKeyRequest{Id: key.Key.Id}))
	s.expect(t, "the revoked key", call(), 401, "revoked")
}

func TestSwitchingOffReachesEveryCredentialAtOnce(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	users, orgs, tokens := adminv1.NewUserServiceClient(s.conn), adminv1.NewOrganizationServiceClient(s.conn), adminv1.NewTokenServiceClient(s.conn)
	must[*adminv1.CreateUserResponse](t)(users.CreateUser(s.ctx, &adminv1.CreateUserRequest{Id: "ada"}))
	member := &adminv1.PutMembershipRequest{OrganizationId: "acme", UserId: "ada", Permissions: []string{"read"}}
	must[*adminv1.PutMembershipResponse](t)(users.PutMembership(s.ctx, member))
	key := s.key(t, "authenta", "acme", "READ")
	issue := &adminv1.IssueTokenRequest{Profile: "artos", OrganizationId: "acme", UserId: "ada"}
	token := must[*adminv1.IssueTokenResponse](t)(tokens.IssueToken(s.ctx, issue))
	byToken := func(secret string) *authv3.CheckRequest {
		return request("artos", "GET", "/api/v1/templates/", "authorization", "Bearer "+secret, "x-forwarded-proto", "https")
	}
	both := func(what string, tokenStatus int, tokenWhy string, keyStatus int, keyWhy string) {
		t.Helper()
		s.expect(t, what+": the token", byToken(token.Secret), tokenStatus, tokenWhy)
		s.expect(t, what+": the key", jobs(key.Secret), keyStatus, keyWhy)
	}
	both("at first", 200, "allowed", 200, "allowed")
	must[*adminv1.DisableOrganizationResponse](t)(orgs.DisableOrganization(s.ctx, &adminv1.DisableOrganizationRequest{Id: "acme"}))
	both("organization off", 403, "organization_disabled", 403, "organization_disabled")
	must[*adminv1.EnableOrganizationResponse](t)(orgs.EnableOrganization(s.ctx, &adminv1.EnableOrganizationRequest{Id: "acme"}))
	both("organization on", 200, "allowed", 200, "allowed")
	must[*adminv1.DisableUserResponse](t)(users.DisableUser(s.ctx, &adminv1.DisableUserRequest{Id: "ada"}))
	both("user off", 403, "no_organization", 200, "allowed")
	must[*adminv1.EnableUserResponse](t)(users.EnableUser(s.ctx, &adminv1.EnableUserRequest{Id: "ada"}))
	must[*adminv1.DeleteMembershipResponse](t)(users.DeleteMembership(s.ctx, &adminv1.DeleteMembershipRequest{OrganizationId: "acme", UserId: "ada"}))
	both("user gone", 403, "no_organization", 200, "allowed")
	must[*adminv1.PutMembershipResponse](t)(users.PutMembership(s.ctx, member))
	both("user back", 200, "allowed", 200, "allowed")
	must[*adminv1.RevokeTokenResponse](t)(tokens.RevokeToken(s.ctx, &adminv1.RevokeTokenRequest{Id: token.Token.Id}))
	both("token revoked", 401, "revoked", 200, "allowed")
	another := must[*adminv1.IssueTokenResponse](t)(tokens.IssueToken(s.ctx, issue))
	s.expect(t, "another token", byToken(another.Secret), 200, "allowed")
	must[*adminv1.RevokeUserTokensResponse](t)(tokens.RevokeUserTokens(s.ctx, &adminv1.RevokeUserTokensRequest{UserId: "ada"}))
	s.expect(t, "all tokens revoked", byToken(another.Secret), 401, "revoked")
	fresh := must[*adminv1.IssueTokenResponse](t)(tokens.IssueToken(s.ctx, issue))
	s.expect(t, "a token issued after that", byToken(fresh.Secret), 200, "allowed")
}

func TestAKeyOfAnotherEnvironmentIsRefused(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Environment = "production" })
	s.org(t, "acme")
	s.expect(t, "a key made here", jobs(s.key(t, "authenta", "acme", "READ").Secret), 200, "allowed")
	staging := must[*adminv1.CreateKeyResponse](t)(s.keys().CreateKey(s.ctx, &adminv1.CreateKeyRequest{
		Profile: "authenta", OrganizationId: "acme", Permissions: []string{"READ"}, Environment: "staging",
	}))
	s.expect(t, "a key made for staging", jobs(staging.Secret), 401, "wrong_environment")
}

func TestWhatWasMissedWorksAtOnceWhenItIsCreated(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	key := s.key(t, "artanis", "acme")
	ask := func() *authv3.CheckRequest {
		return request("artanis", "GET", "/api/prompts?projectSlug=new", "x-api-key", key.Secret, "x-org-slug", "acme")
	}
	s.expect(t, "before", ask(), 404, "resource_not_found")
	resources := adminv1.NewResourceServiceClient(s.conn)
	must[*adminv1.CreateResourceResponse](t)(resources.CreateResource(s.ctx, &adminv1.CreateResourceRequest{Kind: "project", Slug: "new", OrganizationId: "acme"}))
	s.expect(t, "after", ask(), 200, "allowed")
}

func TestAnOwnResourceOverrulesAForeignOneOfTheSameSlugAtOnce(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	s.org(t, "other")
	key := s.key(t, "artanis", "acme")
	ask := func() *authv3.CheckRequest {
		return request("artanis", "GET", "/api/prompts?projectSlug=same", "x-api-key", key.Secret, "x-org-slug", "acme")
	}
	resources := adminv1.NewResourceServiceClient(s.conn)
	create := func(org string) {
		must[*adminv1.CreateResourceResponse](t)(resources.CreateResource(s.ctx, &adminv1.CreateResourceRequest{Kind: "project", Slug: "same", OrganizationId: org}))
	}
	create("other")
	s.expect(t, "the other's", ask(), 403, "resource_foreign")
	create("acme")
	s.expect(t, "the own", ask(), 200, "allowed")
}

func TestConcurrentClientsSpendExactlyTheBalance(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	credits := adminv1.NewCreditServiceClient(s.conn)
	must[*adminv1.TopUpResponse](t)(credits.TopUp(s.ctx, &adminv1.TopUpRequest{OrganizationId: "acme", Amount: 100}))
	key := s.key(t, "authenta", "acme", "WRITE")
	var allowed, refused, other atomic.Int32
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			for range 5 {
				switch status, _ := s.answer(t, request("authenta", "POST", "/api/v1/jobs", "authorization", "Bearer "+key.Secret)); status {
				case 200:
					allowed.Add(1)
				case 402:
					refused.Add(1)
				default:
					other.Add(1)
				}
			}
		})
	}
	clients.Wait()
	account := must[*adminv1.GetAccountResponse](t)(credits.GetAccount(s.ctx, &adminv1.GetAccountRequest{OrganizationId: "acme"}))
	if allowed.Load() != 100 || refused.Load() != 60 || other.Load() != 0 || account.GetAccount().GetBalance() != 0 {
		t.Errorf("%d allowed, %d refused, %d other, balance %d", allowed.Load(), refused.Load(), other.Load(), account.GetAccount().GetBalance())
	}
}

func TestARepeatedRequestIsChargedOnce(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	credits := adminv1.NewCreditServiceClient(s.conn)
	must[*adminv1.TopUpResponse](t)(credits.TopUp(s.ctx, &adminv1.TopUpRequest{OrganizationId: "acme", Amount: 10}))
	key := s.key(t, "authenta", "acme", "WRITE")
	r := request("authenta", "POST", "/api/v1/jobs", "authorization", "Bearer "+key.Secret)
	for range 5 {
		s.expect(t, "the same request id", r, 200, "allowed")
	}
	account := must[*adminv1.GetAccountResponse](t)(credits.GetAccount(s.ctx, &adminv1.GetAccountRequest{OrganizationId: "acme"}))
	if account.GetAccount().GetBalance() != 9 {
		t.Errorf("balance %d", account.GetAccount().GetBalance())
	}
}

func TestBothFormsOfHeadersAreReadAlike(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	key := s.key(t, "authenta", "acme", "READ")
	r := jobs(key.Secret)
	http := r.Attributes.Request.Http
	http.Headers = map[string]string{"authorization": "Bearer " + key.Secret, ":path": "/api/v1/jobs"}
	http.HeaderMap = nil
	s.expect(t, "the map", r, 200, "allowed")
	http.Headers["authorization"] += "," + http.Headers["authorization"]
	s.expect(t, "two joined in the map", r, 401, "malformed_credential")
	s.expect(t, "no attributes", &authv3.CheckRequest{}, 403, "no_profile")
}

func TestTheClientOfAnUnknownKindNeverSeesAGRPCError(t *testing.T) {
	s := start(t, nil)
	r := request("authenta", "POST", "/api/v1/jobs", "content-type", "application/grpc")
	response := must[*authv3.CheckResponse](t)(s.check.Check(t.Context(), r))
	denied := response.GetDeniedResponse()
	if denied.GetStatus().GetCode() != 401 || denied.GetBody() != "API key authentication failed" {
		t.Errorf("a gRPC client gets %v", denied)
	}
}

func TestNoCheckIsLostInAGracefulStop(t *testing.T) {
	s := start(t, nil)
	s.org(t, "default")
	key := s.key(t, "arthur-engine", "default", "VALIDATION-USER")
	var lost, wrong, answered atomic.Int32
	var clients sync.WaitGroup
	begun := make(chan struct{})
	for range 8 {
		clients.Go(func() {
			<-begun
			for {
				response, err := s.check.Check(context.Background(), request("arthur-engine", "GET", "/api/v2/tasks", "authorization", "Bearer "+key.Secret))
				switch {
				case status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "connection refused"):
					return // not accepted any more: Envoy goes to another replica
				case err != nil:
					lost.Add(1)
					t.Log(err)
					return
				case response.GetOkResponse() == nil:
					wrong.Add(1)
				}
				answered.Add(1)
			}
		})
	}
	close(begun)
	time.Sleep(100 * time.Millisecond)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	clients.Wait()
	if lost.Load() != 0 || wrong.Load() != 0 || answered.Load() == 0 {
		t.Errorf("%d answered, %d lost, %d wrong", answered.Load(), lost.Load(), wrong.Load())
	}
}

func TestInstrumentsAreServed(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	key := s.key(t, "authenta", "acme", "READ")
	s.expect(t, "a key", jobs(key.Secret), 200, "allowed")
	for path, want := range map[string]string{
		"/metrics":               `postern_checks_total{decision="allow",profile="authenta",reason="allowed"} 1`,
		"/healthz/live":          "alive",
		"/healthz/ready":         "ready",
		"/.well-known/jwks.json": `"crv":"Ed25519"`,
	} {
		response := must[*http.Response](t)(http.Get("http://" + s.server.AdminAddress() + path))
		body := must[[]byte](t)(io.ReadAll(response.Body))
		_ = response.Body.Close()
		if response.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d without %q", path, response.StatusCode, want)
		}
		if strings.Contains(string(body), key.Secret) {
			t.Errorf("%s shows a key", path)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	health := must[*healthv1.HealthCheckResponse](t)(s.health.Check(t.Context(), &healthv1.HealthCheckRequest{}))
	if health.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health is %v", health.GetStatus())
	}
}
