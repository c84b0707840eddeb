package testenv_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"

	"postern/authz/profile"
	"postern/envoy/trim"
	"postern/internal/testenv"
)

func TestFastConfigurationSendsWhatIsReadRawAndNothingElse(t *testing.T) {
	folder, err := os.MkdirTemp("", "postern-") // a test's own name is too long for a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	socket := filepath.Join(folder, "check.sock")
	asked := make(chan *authv3.AttributeContext_HttpRequest, 100)
	serveCheckAt(t, "unix", socket, func(r *authv3.CheckRequest) *authv3.CheckResponse {
		asked <- r.GetAttributes().GetRequest().GetHttp()
		return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}
	})
	set, err := profile.Load(true)
	if err != nil {
		t.Fatal(err)
	}
	allowed := trim.Of(set).Allowed

	config, offset := reference(t, "fast.yaml")
	testenv.RunEnvoy(t, bytes.ReplaceAll(config, []byte("/run/postern/check.sock"), []byte(socket)))
	headers := []string{"user-agent", "browser", "accept", "*/*", "x-trace", "1", "x-org-id", "evil", "x.org.id", "evil", "x-project-id", "evil"}
	for _, name := range allowed {
		if name != "upgrade" && name != "x-forwarded-proto" { // Envoy refuses the one, and says the other itself
			headers = append(headers, name, "value-of-"+name)
		}
	}
	if response, body := get(t, 10003+offset, "/api/prompts?a=1", headers...); response.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("without an upstream got %d %s", response.StatusCode, body)
	}
	request := <-asked
	if request.GetMethod() != "GET" || request.GetPath() != "/api/prompts?a=1" || request.GetHost() == "" || request.GetId() == "" || len(request.GetHeaders()) != 0 {
		t.Errorf("Postern was asked for %v", request)
	}
	var names []string
	for _, h := range request.GetHeaderMap().GetHeaders() {
		names = append(names, h.GetKey())
		if value := string(h.GetRawValue()); value != "value-of-"+h.GetKey() && h.GetKey() != "x-forwarded-proto" {
			t.Errorf("%s came as %q", h.GetKey(), value)
		}
	}
	slices.Sort(names)
	want := slices.DeleteFunc(slices.Clone(allowed), func(name string) bool { return name == "upgrade" })
	if !slices.Equal(names, want) {
		t.Errorf("Postern was sent %v, want %v", names, want)
	}
}
