package load

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// judgeServer answers by the request's id: a denial, a failure, or an allow.
type judgeServer struct {
	authv3.UnimplementedAuthorizationServer
	mu   sync.Mutex
	seen []string
	slow time.Duration
}

func (s *judgeServer) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	id := r.GetAttributes().GetRequest().GetHttp().GetId()
	s.mu.Lock()
	s.seen = append(s.seen, id)
	s.mu.Unlock()
	time.Sleep(s.slow)
	switch id[:1] {
	case "d":
		return &authv3.CheckResponse{Status: &status.Status{Code: 7, Message: "no"}, HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{Body: "no"}}}, nil
	case "f":
		return nil, grpcstatus.Error(codes.Internal, "a failure")
	}
	return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}, nil
}

func serve(t *testing.T, s *judgeServer, network, address string) string {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	authv3.RegisterAuthorizationServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func frame(t *testing.T, id string) []byte {
	t.Helper()
	message, err := proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Id: id, Path: "/a-path-that-fills-a-window-in-time" + fmt.Sprint(make([]byte, 1000))},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{0, byte(len(message) >> 24), byte(len(message) >> 16), byte(len(message) >> 8), byte(len(message))}, message...)
}

func TestEveryMessageIsSentOnceAndCountedInItsClass(t *testing.T) {
	for what, rate := range map[string]float64{"as fast as they come": 0, "at a rate": 10_000} {
		s := &judgeServer{}
		const n = 3000
		var frames [n][]byte
		for i := range frames {
			frames[i] = frame(t, fmt.Sprint([]string{"a", "d", "f"}[i%3], i))
		}
		result, err := Send(t.Context(), Options{
			Address: serve(t, s, "tcp", "127.0.0.1:0"), Method: authv3.Authorization_Check_FullMethodName,
			Connections: 3, Streams: 50, Rate: rate, Requests: n,
			Message: func(i int) ([]byte, int) { return frames[i], i % 3 },
		})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for class, v := range []Verdict{Allowed, Denied, Failed} {
			if got := result.Count(class, v); got != n/3 {
				t.Errorf("%s: %d answers of class %d are %d, want %d", what, got, class, v, n/3)
			}
		}
		slices.Sort(s.seen)
		if len(slices.Compact(s.seen)) != n {
			t.Errorf("%s: the server saw %d different messages of %d", what, len(slices.Compact(s.seen)), n)
		}
		if rate > 0 && (result.Elapsed < 290*time.Millisecond || result.Elapsed > 3*time.Second) {
			t.Errorf("%d requests at %.0f a second took %v", n, rate, result.Elapsed)
		}
	}
}

func TestWhatWaitsBecauseTheServerIsSlowCountsAsTime(t *testing.T) {
	s := &judgeServer{slow: 20 * time.Millisecond}
	path := t.TempDir() + "/s"
	serve(t, s, "unix", path)
	result, err := Send(t.Context(), Options{
		Address: "unix://" + path, Method: authv3.Authorization_Check_FullMethodName,
		Connections: 1, Rate: 1000, Requests: 50, Message: func(int) ([]byte, int) { return frame(t, "a"), 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, took := range result.Took(0) {
		if took < 20*time.Millisecond {
			t.Fatalf("an answer that takes 20ms took %v", took)
		}
	}
}

func TestAnAnswerThatContradictsItselfIsAFailure(t *testing.T) {
	ok := &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}
	denied := &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{}}
	for _, c := range []struct {
		response *authv3.CheckResponse
		want     Verdict
	}{
		{&authv3.CheckResponse{HttpResponse: ok}, Allowed},
		{&authv3.CheckResponse{Status: &status.Status{Message: "m"}, HttpResponse: ok}, Allowed},
		{&authv3.CheckResponse{Status: &status.Status{Code: 7}, HttpResponse: denied}, Denied},
		{&authv3.CheckResponse{Status: &status.Status{Code: 7}, HttpResponse: ok}, Failed},
		{&authv3.CheckResponse{HttpResponse: denied}, Failed},
		{&authv3.CheckResponse{}, Failed},
	} {
		message, err := proto.Marshal(c.response)
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(message); got != c.want {
			t.Errorf("%v is %d, want %d", c.response, got, c.want)
		}
	}
	if judge([]byte{0xff}) != Failed {
		t.Error("bytes that are no message are an answer")
	}
}

func TestAServerThatIsAwayIsAnError(t *testing.T) {
	_, err := Send(t.Context(), Options{Address: "127.0.0.1:1", Method: "/", Connections: 1, Streams: 1, Requests: 1})
	if err == nil {
		t.Error("nobody listens, and there is no error")
	}
}
