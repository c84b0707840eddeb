package server

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"postern/admin"
	"postern/authz/identity"
	"postern/authz/profile"

	adminv1 "postern/proto/postern/admin/v1"
)

const testKey = "test-admin-key-0123456789abcdef"

// faults is a dependency that panics whatever it is asked: every method of its
// empty interfaces does.
type faults struct {
	admin.Store
	admin.TokenSigner
	admin.Decider
	admin.Confirmer
	admin.Fleet
	admin.Usages
}

func newFaulty(t *testing.T, log *slog.Logger, open map[string]http.Handler) http.Handler {
	t.Helper()
	service, err := admin.NewService(admin.Options{
		Store: faults{}, Signer: faults{}, Decider: faults{}, Confirmer: faults{}, Fleet: faults{}, Usages: faults{}, Clock: time.Now,
		Profile: func(identity.ProfileName) (*profile.Profile, bool) { return nil, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := NewHandler(Options{Service: service, AdminKey: identity.NewSecret(testKey), Open: open, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPanicIsAnInternalErrorThatTellsNothing(t *testing.T) {
	var log bytes.Buffer
	h := newFaulty(t, slog.New(slog.NewTextHandler(&log, nil)), nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewHTTPServer(h)
	go server.Serve(listener)
	defer server.Close()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+testKey)
	for range 2 { // the server survives
		_, err = adminv1.NewKeyServiceClient(conn).GetKey(ctx, &adminv1.GetKeyRequest{Id: "k"})
		if status.Code(err) != codes.Internal || status.Convert(err).Message() != internal {
			t.Errorf("gRPC: %v, want INTERNAL without details", err)
		}
	}

	request := httptest.NewRequestWithContext(context.Background(), "GET", "/v1/keys/k", nil)
	request.Header.Set("Authorization", "Bearer "+testKey)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, request)
	if want := `{"code":13,"message":"` + internal + `","details":[]}`; answer.Code != http.StatusInternalServerError || answer.Body.String() != want {
		t.Errorf("REST: %d %s, want 500 %s", answer.Code, answer.Body, want)
	}
	if strings.Count(log.String(), "recovered from a panic") != 3 {
		t.Errorf("the log does not tell of the three panics: %s", log.String())
	}
}

func TestOpenHandlersAnswerTheirOwnPathsOnly(t *testing.T) {
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(name)) })
	}
	h := newFaulty(t, nil, map[string]http.Handler{
		"/metrics": named("metrics"), "/keys": named("keys"), "/keys/": named("keys"), "/keys/special/": named("special"),
	})
	for path, want := range map[string]string{
		"/metrics": "metrics", "/keys": "keys", "/keys/": "keys", "/keys/1": "keys", "/keys/1/2": "keys", "/keys/special/1": "special",
		"/keys//1": "keys", "/keys/special": "keys",
		"/metrics/": "", "/metrics/x": "", "/metricsx": "", "/keysx": "", "/": "", "//keys": "", "/v1/keys": "",
	} {
		request := httptest.NewRequest("GET", "/", nil)
		request.URL.Path = path
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, request)
		if want == "" {
			if answer.Code != http.StatusUnauthorized {
				t.Errorf("%s: %d %s, want 401", path, answer.Code, answer.Body)
			}
			continue
		}
		if answer.Body.String() != want {
			t.Errorf("%s: %d %s, want %s", path, answer.Code, answer.Body, want)
		}
	}
}

func TestHandlerIsRefusedWithoutAnAdminKeyOfSomeLength(t *testing.T) {
	service := &admin.Service{}
	for _, key := range []string{"", "short", strings.Repeat("k", MinAdminKey-1)} {
		if _, err := NewHandler(Options{Service: service, AdminKey: identity.NewSecret(key)}); err == nil {
			t.Errorf("the key %q is accepted", key)
		}
	}
	if _, err := NewHandler(Options{AdminKey: identity.NewSecret(testKey)}); err == nil {
		t.Error("a handler without a service is accepted")
	}
}
