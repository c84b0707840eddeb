package wire_test

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"postern/internal/config"
	adminv1 "postern/proto/postern/admin/v1"
)

// cachedChecks are requests that the server has decided once, so that what they need
// is cached, by what they are.
func cachedChecks(t testing.TB) (*system, map[string][]byte) {
	s := start(t, func(c *config.Config) { c.Log.AllowSample = 0 })
	s.org(t, "acme")
	users := adminv1.NewUserServiceClient(s.conn)
	must[*adminv1.CreateUserResponse](t)(users.CreateUser(s.ctx, &adminv1.CreateUserRequest{Id: "ada"}))
	must[*adminv1.PutMembershipResponse](t)(users.PutMembership(s.ctx, &adminv1.PutMembershipRequest{OrganizationId: "acme", UserId: "ada"}))
	token := must[*adminv1.IssueTokenResponse](t)(adminv1.NewTokenServiceClient(s.conn).IssueToken(s.ctx, &adminv1.IssueTokenRequest{
		Profile: "artos", OrganizationId: "acme", UserId: "ada", Permissions: []string{"read"}, Kind: adminv1.TokenKind_TOKEN_KIND_PRIVATE,
	})).GetSecret()
	bearer := func(secret string) []string { return []string{"authorization", "Bearer " + secret} }
	authenta := bearer(s.key(t, "authenta", "acme", "READ", "WRITE").GetSecret())
	requests := map[string]*authv3.CheckRequest{
		"key":     like(request("authenta", "GET", "/api/v1/jobs", authenta...)),
		"slug":    like(request("artanis", "GET", "/api/prompts", "x-api-key", s.key(t, "artanis", "acme", "read").GetSecret(), "x-org-slug", "acme")),
		"pair":    like(request("arthur-engine", "GET", "/api/v2/tasks", bearer(s.key(t, "arthur-engine", "acme", "TASK-ADMIN").GetSecret())...)),
		"token":   like(request("artos", "GET", "/api/v1/templates/", bearer(token)...)),
		"public":  like(request("authenta", "GET", "/health")),
		"missing": like(request("authenta", "GET", "/api/v1/jobs")),
		"denied":  like(request("authenta", "DELETE", "/api/v1/jobs/1", authenta...)),
	}
	bytes := map[string][]byte{}
	for name, r := range requests {
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var response authv3.CheckResponse
		for range 2 {
			if err := proto.Unmarshal(s.server.Checks().Check(t.Context(), b, nil), &response); err != nil {
				t.Fatal(err)
			}
		}
		if allowed := name != "missing" && name != "denied"; (response.GetOkResponse() != nil) != allowed {
			t.Fatalf("%s: %v", name, &response)
		}
		bytes[name] = b
	}
	return s, bytes
}

// like makes a request as large as a browser's.
func like(r *authv3.CheckRequest) *authv3.CheckRequest {
	http := r.GetAttributes().GetRequest().GetHttp()
	more := request("", "", "", ":authority", "api.example", ":path", http.GetPath(), ":method", http.GetMethod(), ":scheme", "https",
		"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
		"accept", "application/json, text/plain, */*", "accept-encoding", "gzip, deflate, br, zstd", "accept-language", "en-GB,en;q=0.9,de;q=0.8",
		"cookie", "_ga=GA1.1.1873920471.1754899200; _ga_5QX7Z2K1PN=GS2.1.s1756112345$o17$g1$t1756112399$j6$l0$h0; locale=en-GB; theme=dark",
		"origin", "https://console.example", "referer", "https://console.example/projects/4711/overview",
		"sec-fetch-dest", "empty", "sec-fetch-mode", "cors", "sec-fetch-site", "same-site",
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "x-forwarded-for", "203.0.113.7",
		"x-forwarded-proto", "https", "x-request-id", "5d1f0c0e-6a43-4b7c-9d7e-0f5b1a2c3d4e")
	http.HeaderMap.Headers = append(more.GetAttributes().GetRequest().GetHttp().GetHeaderMap().GetHeaders(), http.HeaderMap.Headers...)
	return r
}

// BenchmarkCheck is a decision on what is cached, from the bytes of the request to
// those of the response, with metrics and the decision log: all but the transport.
func BenchmarkCheck(b *testing.B) {
	s, requests := cachedChecks(b)
	for name, request := range requests {
		b.Run(name, func(b *testing.B) {
			response := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				response = s.server.Checks().Check(b.Context(), request, response[:0])
			}
		})
	}
}
