package testenv_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/internal/demo"
	"postern/internal/testenv"
)

var listeners = []int{10000, 10001, 10002, 10003, 10004, 10005, 10006, 9001, 9002, 9003}

// reference is a configuration of the project, shifted to free ports.
func reference(t *testing.T, name string) ([]byte, int) {
	t.Helper()
	offset, err := testenv.FreeOffset(listeners...)
	if err != nil {
		t.Fatal(err)
	}
	config, err := demo.ShiftPorts(testenv.File(t, "envoy", name), offset)
	if err != nil {
		t.Fatal(err)
	}
	return config, offset
}

// checkFunc answers Envoy's question as a test wants it.
type checkFunc func(*authv3.CheckRequest) *authv3.CheckResponse

func (f checkFunc) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return f(r), nil
}

func serveCheck(t *testing.T, port int, answer checkFunc) {
	t.Helper()
	serveCheckAt(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port), answer)
}

func serveCheckAt(t *testing.T, network, address string, answer checkFunc) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, answer)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
}

func get(t *testing.T, port int, path string, header ...string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "host" {
			request.Host = header[i+1]
		}
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestEnvoyAcceptsTheConfigurations(t *testing.T) {
	binary := testenv.Envoy(t)
	for _, name := range []string{"envoy.yaml", "fast.yaml", "plain.yaml"} {
		if err := testenv.ValidateEnvoy(t.Context(), binary, filepath.Join("..", "..", "envoy", name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerThatIsAwayIsA503InTheShapeOfTheAPI(t *testing.T) {
	config, offset := reference(t, "envoy.yaml")
	testenv.RunEnvoy(t, config)
	profiles, err := profile.Load(true)
	if err != nil {
		t.Fatal(err)
	}
	for port, name := range map[int]identity.ProfileName{
		10001: "artos", 10002: "datasets", 10003: "artanis", 10004: "arthur-platform", 10005: "arthur-engine", 10006: "authenta",
	} {
		want := profiles.ByName(name).Answer(nil, reason.Unavailable)
		response, body := get(t, port+offset, "/api/v1/jobs")
		if response.StatusCode != want.Status || strings.TrimSpace(body) != want.Body {
			t.Errorf("%s: got %d %s, want Postern's own %d %s", name, response.StatusCode, body, want.Status, want.Body)
		}
		if response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Retry-After") != "1" {
			t.Errorf("%s: got the headers %v", name, response.Header)
		}
	}

	away := reason.Unavailable.Message()
	response, body := get(t, 10000+offset, "/", "host", "api.artosai.com")
	if response.StatusCode != 503 || strings.TrimSpace(body) != `{"error":"`+away+`"}` {
		t.Errorf("by host name: got %d %s", response.StatusCode, body)
	}
	response, body = get(t, 10004+offset, "/realms/arthur/protocol/openid-connect/token")
	if response.StatusCode != 503 || strings.TrimSpace(body) != `{"error":"temporarily_unavailable","error_description":"`+away+`"}` {
		t.Errorf("an OAuth client got %d %s", response.StatusCode, body)
	}
	response, _ = get(t, 10006+offset, "/api/v1/jobs", "content-type", "application/grpc")
	if response.Header.Get("Grpc-Status") != "14" || response.Header.Get("Grpc-Message") != away {
		t.Errorf("a client that speaks gRPC got %d %v", response.StatusCode, response.Header)
	}
}

func TestDenialsPassUntouchedAndLeaveTheirReasonInTheAccessLog(t *testing.T) {
	config, offset := reference(t, "envoy.yaml")
	envoy := testenv.RunEnvoy(t, config)
	profiles := make(chan string, 100)
	serveCheck(t, 9001+offset, func(r *authv3.CheckRequest) *authv3.CheckResponse {
		profiles <- r.GetAttributes().GetContextExtensions()["profile"]
		found, _ := structpb.NewStruct(map[string]any{"postern": map[string]any{"reason": "revoked"}})
		return &authv3.CheckResponse{
			Status:          &status.Status{Code: int32(codes.PermissionDenied)},
			DynamicMetadata: found,
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status:  &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable},
				Body:    `{"mine":true}`,
				Headers: []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: "content-type", Value: "application/json"}}},
			}},
		}
	})
	for port, want := range map[int]string{10001: "artos", 10002: "datasets", 10003: "artanis", 10004: "arthur-platform", 10005: "arthur-engine", 10006: "authenta"} {
		response, body := get(t, port+offset, "/api/v1/x?token=in-the-query", "authorization", "Bearer in-the-header")
		if response.StatusCode != 503 || body != `{"mine":true}` || response.Header.Get("Retry-After") != "" {
			t.Errorf("%d: got %d %s %v", port, response.StatusCode, body, response.Header)
		}
		if have := <-profiles; have != want {
			t.Errorf("%d: asks for the profile %q, want %q", port, have, want)
		}
	}
	if response, _ := get(t, 10000+offset, "/api/v1/x", "host", "api.artosai.com:443"); response.StatusCode != 503 || <-profiles != "" {
		t.Errorf("10000: got %d", response.StatusCode)
	}
	envoy.Stop(5 * time.Second)
	log, err := os.ReadFile(envoy.Log())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(log), `"postern":{"reason":"revoked"}`) != 7 || strings.Contains(string(log), "in-the-") {
		t.Errorf("the access log lacks the reason, or shows a credential:\n%s", log)
	}
}

func TestUpstreamThatIsAwayAndRefusedPathsAreJSONToo(t *testing.T) {
	config, offset := reference(t, "envoy.yaml")
	testenv.RunEnvoy(t, config)
	serveCheck(t, 9001+offset, func(*authv3.CheckRequest) *authv3.CheckResponse {
		return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}
	})
	response, body := get(t, 10001+offset, "/api/v1/templates/")
	if response.StatusCode != 503 || strings.TrimSpace(body) != `{"detail":"The service is temporarily unavailable"}` || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("upstream away: got %d %s %v", response.StatusCode, body, response.Header)
	}
	for _, header := range []string{"x_org_id", "x_api_key"} {
		response, body := get(t, 10001+offset, "/api/v1/templates/", header, "evil")
		if response.StatusCode != 400 || strings.TrimSpace(body) != `{"detail":"The request was refused"}` {
			t.Errorf("%s: got %d %s", header, response.StatusCode, body)
		}
	}
	response, body = get(t, 10001+offset, "/api/v1/search%2fstatus")
	if response.StatusCode != 400 || strings.TrimSpace(body) != `{"detail":"The request was refused"}` {
		t.Errorf("escaped slash: got %d %s", response.StatusCode, body)
	}
	response, body = get(t, 10000+offset, "/", "host", "unknown.example")
	if response.StatusCode != 404 || strings.TrimSpace(body) != `{"error":"The request was refused"}` {
		t.Errorf("unknown host: got %d %s", response.StatusCode, body)
	}
}

func TestTwoEnvoysRunSideBySide(t *testing.T) {
	var wait sync.WaitGroup
	for range 2 {
		config, offset := reference(t, "plain.yaml")
		testenv.RunEnvoy(t, config)
		wait.Go(func() {
			if response, body := get(t, 10001+offset, "/"); response.StatusCode != 403 || body != "" {
				t.Errorf("a bare Envoy without Postern answered %d %q", response.StatusCode, body)
			}
		})
	}
	wait.Wait()
}

func TestMissingEnvoyIsAnErrorWithTheRemedy(t *testing.T) {
	t.Setenv("ENVOY_BIN", filepath.Join(t.TempDir(), "none"))
	if path, err := testenv.EnvoyBinary(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "ENVOY_BIN") {
		t.Errorf("got %q, %v", path, err)
	}
}

func TestBrokenConfigurationIsAnErrorThatNamesTheLog(t *testing.T) {
	config := []byte("static_resources: {listeners: [{address: {socket_address: {address: 127.0.0.1, port_value: 1}}, nonsense: 1}]}")
	dir := t.TempDir()
	_, err := testenv.StartEnvoy(t.Context(), testenv.EnvoyOptions{Binary: testenv.Envoy(t), Config: config, Dir: dir})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "envoy.log")) {
		t.Errorf("got %v", err)
	}
	if _, err := testenv.StartEnvoy(t.Context(), testenv.EnvoyOptions{Binary: testenv.Envoy(t), Config: []byte("{}"), Dir: dir}); err == nil {
		t.Error("a configuration without listeners was started")
	}
}
