package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"postern/internal/testenv/servertest"

	adminv1 "postern/proto/postern/admin/v1"
)

// withKey is a context whose gRPC calls bring the key.
func withKey(t *testing.T, key string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+key)
}

// eachMethod visits every rpc of the management API.
func eachMethod(t *testing.T, visit func(protoreflect.MethodDescriptor)) {
	t.Helper()
	count := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("postern.admin.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j))
				count++
			}
		}
		return true
	})
	if count < 35 {
		t.Fatalf("only %d methods were found", count)
	}
}

func fullName(m protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
}

func TestEveryCallIsRefusedWithoutTheAdminKey(t *testing.T) {
	conn := servertest.Start(t).Dial(t)
	for name, ctx := range map[string]context.Context{
		"no key":          t.Context(),
		"an empty key":    withKey(t, ""),
		"a wrong key":     withKey(t, "test-admin-key-0123456789abcdeF"),
		"a longer key":    withKey(t, servertest.AdminKey+"0"),
		"a shorter key":   withKey(t, servertest.AdminKey[1:]),
		"the key twice":   metadata.AppendToOutgoingContext(withKey(t, servertest.AdminKey), "authorization", "Bearer "+servertest.AdminKey),
		"another scheme":  metadata.AppendToOutgoingContext(t.Context(), "authorization", "Basic "+servertest.AdminKey),
		"the key, naked":  metadata.AppendToOutgoingContext(t.Context(), "authorization", servertest.AdminKey),
		"an x-api-key":    metadata.AppendToOutgoingContext(t.Context(), "x-api-key", servertest.AdminKey),
		"a profile's key": withKey(t, servertest.EngineAdminKey),
	} {
		t.Run(name, func(t *testing.T) {
			eachMethod(t, func(m protoreflect.MethodDescriptor) {
				err := conn.Invoke(ctx, fullName(m), dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output()))
				if status.Code(err) != codes.Unauthenticated {
					t.Errorf("%s: %v, want UNAUTHENTICATED", m.FullName(), err)
				}
			})
		})
	}
}

func TestEveryCallPassesTheGateWithTheAdminKey(t *testing.T) {
	conn := servertest.Start(t).Dial(t)
	eachMethod(t, func(m protoreflect.MethodDescriptor) {
		err := conn.Invoke(withKey(t, servertest.AdminKey), fullName(m), dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output()))
		if code := status.Code(err); code != codes.OK && code != codes.InvalidArgument {
			t.Errorf("%s of an empty request: %v, want OK or INVALID_ARGUMENT", m.FullName(), err)
		}
	})
}

func TestReflectionAsksForTheAdminKeyToo(t *testing.T) {
	conn := servertest.Start(t).Dial(t)
	ask := func(ctx context.Context) (*reflectionv1.ServerReflectionResponse, error) {
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err != nil {
			return nil, err
		}
		// A refused stream may end before it is sent to; Recv tells why.
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		return stream.Recv()
	}
	if _, err := ask(t.Context()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without the key: %v, want UNAUTHENTICATED", err)
	}
	response, err := ask(withKey(t, servertest.AdminKey))
	if err != nil {
		t.Fatalf("with the key: %v", err)
	}
	if n := len(response.GetListServicesResponse().GetService()); n < 8 {
		t.Errorf("reflection lists %d services, want the 8 of the API at least", n)
	}
}

// rest is one REST call; it returns the status, the header and the decoded body.
func rest(t *testing.T, s *servertest.Server, key, method, path, body string) (int, http.Header, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatalf("%s %s: %d %q is not a JSON object", method, path, response.StatusCode, text)
	}
	return response.StatusCode, response.Header, decoded
}

// restPaths are the REST paths of every rpc, as the OpenAPI document has them.
func restPaths(t *testing.T) map[string]map[string]struct {
	OperationID string `json:"operationId"`
} {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi/postern.swagger.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document.Paths
}

func TestEveryCallHasARESTPath(t *testing.T) {
	have := map[string]bool{}
	for _, methods := range restPaths(t) {
		for _, operation := range methods {
			have[operation.OperationID] = true
		}
	}
	eachMethod(t, func(m protoreflect.MethodDescriptor) {
		if id := fmt.Sprintf("%s_%s", m.Parent().Name(), m.Name()); !have[id] {
			t.Errorf("%s has no REST path", id)
		}
	})
}

func TestEveryRESTPathIsRefusedWithoutTheAdminKeyAndTellsNothing(t *testing.T) {
	s := servertest.Start(t)
	refused := func(method, path string) {
		for _, key := range []string{"", "a-wrong-key-0123456789"} {
			code, header, body := rest(t, s, key, method, path, "{}")
			if code != http.StatusUnauthorized || body["code"] != float64(codes.Unauthenticated) {
				t.Errorf("%s %s with the key %q: %d %v, want 401", method, path, key, code, body)
			}
			if header.Get("WWW-Authenticate") != "Bearer" || header.Get("Content-Type") != "application/json" {
				t.Errorf("%s %s with the key %q: header %v", method, path, key, header)
			}
		}
	}
	for path, methods := range restPaths(t) {
		for method := range methods {
			refused(strings.ToUpper(method), strings.NewReplacer("{", "", "}", "").Replace(path))
		}
	}
	for _, path := range []string{"/", "/v1/nothing", "/v1//organizations", "/v1/../metrics", "/debug/pprof/", "/metrics/x", "/METRICS"} {
		refused("GET", path)
	}
}

func TestUnknownPathsAreJSONNotFoundWithTheAdminKey(t *testing.T) {
	s := servertest.Start(t)
	for _, path := range []string{"/", "/v1/nothing", "/v1//organizations", "/console"} {
		if code, _, body := rest(t, s, servertest.AdminKey, "GET", path, ""); code != http.StatusNotFound || body["code"] != float64(codes.NotFound) {
			t.Errorf("GET %s: %d %v, want 404", path, code, body)
		}
	}
}

func TestBodyBeyondTheLimitIsRefused(t *testing.T) {
	s := servertest.Start(t)
	body := `{"slug": "` + strings.Repeat("a", 1<<20) + `"}`
	if code, _, answer := rest(t, s, servertest.AdminKey, "POST", "/v1/organizations", body); code != http.StatusRequestEntityTooLarge {
		t.Errorf("REST: %d %v, want 413", code, answer)
	}
	client := adminv1.NewOrganizationServiceClient(s.Dial(t))
	_, err := client.CreateOrganization(withKey(t, servertest.AdminKey), &adminv1.CreateOrganizationRequest{Slug: strings.Repeat("a", 1<<20)},
		grpc.MaxCallSendMsgSize(4<<20))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("gRPC: %v, want RESOURCE_EXHAUSTED", err)
	}
}

func TestMisspelledFieldIsRefusedAndChangesNothing(t *testing.T) {
	s := servertest.Start(t)
	code, _, body := rest(t, s, servertest.AdminKey, "POST", "/v1/organizations", `{"slug": "my-org", "plann": "free"}`)
	if code != http.StatusBadRequest || !strings.Contains(fmt.Sprint(body["message"]), "plann") {
		t.Errorf("%d %v, want 400 naming the field", code, body)
	}
	if _, _, body := rest(t, s, servertest.AdminKey, "GET", "/v1/organizations", ""); len(body["organizations"].([]any)) != 0 {
		t.Errorf("there are organizations: %v", body)
	}
}
