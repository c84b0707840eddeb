package transport_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"postern/envoy/transport"
)

const path = "/test.Echo/Call"

// echo answers a message with itself; how says otherwise.
type echo struct {
	// block makes every call wait for a value.
	block chan struct{}
	// large answers with so many bytes more.
	large int
}

func (e *echo) Try(request, response []byte) ([]byte, func(context.Context, []byte) []byte) {
	if e.block == nil {
		return append(append(response, request...), make([]byte, e.large)...), nil
	}
	own := append([]byte{}, request...)
	return response, func(ctx context.Context, response []byte) []byte {
		select {
		case <-e.block:
			return append(response, own...)
		case <-ctx.Done():
			return append(response, "gave up"...)
		}
	}
}

// served is a running server.
type served struct {
	*transport.Server
	address string
	health  *health.Server
}

func serve(t testing.TB, e *echo, change func(*transport.Options)) *served {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreTopFunction("testing.(*T).Run")) })
	s := &served{health: health.NewServer()}
	others := grpc.NewServer()
	healthv1.RegisterHealthServer(others, s.health)
	o := transport.Options{
		Path: path, Unary: e, Others: others, MaxMessage: 1 << 20, MaxStreams: 100,
		MaxAge: time.Hour, MaxAgeGrace: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if s.Server, err = transport.NewServer(o); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	ran := make(chan error, 1)
	go func() { ran <- s.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.health.Shutdown()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("the server did not stop: %v", err)
		}
		if err := <-ran; !errors.Is(err, transport.ErrStopped) {
			t.Errorf("Serve returned %v", err)
		}
		others.Stop()
	})
	return s
}
