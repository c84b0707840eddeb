package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"postern/envoy/transport"
)

// raw sends and receives messages as bytes.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (s *served) dial(t testing.TB, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///"+s.address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func call(ctx context.Context, conn *grpc.ClientConn, message []byte, options ...grpc.CallOption) ([]byte, error) {
	var answer []byte
	err := conn.Invoke(ctx, path, &message, &answer, append(options, grpc.ForceCodecV2(raw{}), grpc.MaxCallRecvMsgSize(8<<20))...)
	return answer, err
}

func TestACallIsAnsweredWhateverItsSize(t *testing.T) {
	conn := serve(t, &echo{}, nil).dial(t)
	for _, size := range []int{0, 1, 127, 1500, 16 << 10, 16<<10 + 1, 70_000, 1 << 20} {
		message := bytes.Repeat([]byte{7}, size)
		if answer, err := call(t.Context(), conn, message); err != nil || !bytes.Equal(answer, message) {
			t.Errorf("%d bytes: %d bytes, %v", size, len(answer), err)
		}
	}
}

func TestManyCallsAtOnceWithAnswersLargerThanTheirWindows(t *testing.T) {
	conn := serve(t, &echo{large: 100_000}, nil).dial(t, grpc.WithStaticStreamWindowSize(65536), grpc.WithStaticConnWindowSize(65536))
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			for j := range 10 {
				message := fmt.Appendf(nil, "%d of %d", j, i)
				answer, err := call(t.Context(), conn, message)
				if err != nil || len(answer) != len(message)+100_000 || !bytes.HasPrefix(answer, message) {
					t.Errorf("%s: %d bytes, %v", message, len(answer), err)
				}
			}
		})
	}
	calls.Wait()
}

func TestACallThatBlocksHoldsNoOtherUp(t *testing.T) {
	e := &echo{block: make(chan struct{})}
	s := serve(t, e, nil)
	conn := s.dial(t)
	answers := make(chan error, 2)
	go func() { _, err := call(t.Context(), conn, []byte("slow")); answers <- err }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
		t.Errorf("another method on the same connection: %v", err)
	}
	e.block <- struct{}{}
	if err := <-answers; err != nil {
		t.Error(err)
	}
}

func TestACallEndsAtItsDeadlineAndWhenItsClientGivesUp(t *testing.T) {
	conn := serve(t, &echo{block: make(chan struct{})}, nil).dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if answer, err := call(ctx, conn, []byte("x")); status.Code(err) != codes.DeadlineExceeded && string(answer) != "gave up" {
		t.Errorf("%q, %v", answer, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := call(ctx, conn, []byte("x")); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	// goleak sees that their goroutines have ended.
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	conn := serve(t, &echo{}, func(o *transport.Options) { o.MaxMessage = 1000 }).dial(t)
	if _, err := call(t.Context(), conn, make([]byte, 1001)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("too large: %v", err)
	}
	if _, err := call(t.Context(), conn, make([]byte, 300_000)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("far too large: %v", err)
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, path, grpc.ForceCodecV2(raw{}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a unary method takes one
		if err := stream.SendMsg(&[]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(stream.CloseSend(), stream.RecvMsg(&[]byte{})); status.Code(err) != codes.Internal {
		t.Errorf("two messages: %v", err)
	}
	if answer, err := call(t.Context(), conn, []byte("x")); err != nil || string(answer) != "x" {
		t.Errorf("and then: %q, %v", answer, err)
	}
}

func TestOtherMethodsAndOddCallsAreTheHandlers(t *testing.T) {
	s := serve(t, &echo{}, nil)
	conn := s.dial(t)
	client := healthv1.NewHealthClient(conn)
	if r, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "unknown"}); status.Code(err) != codes.NotFound {
		t.Errorf("an error with a message: %v", err)
	}
	if err := conn.Invoke(t.Context(), "/no.Such/Method", &healthv1.HealthCheckRequest{}, &healthv1.HealthCheckResponse{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method: %v", err)
	}
	// The handler of this test does not know the method; a compressed call is its.
	if _, err := call(t.Context(), conn, []byte("x"), grpc.UseCompressor(gzip.Name)); status.Code(err) != codes.Unimplemented {
		t.Errorf("a compressed call: %v", err)
	}
	watch, err := client.Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []healthv1.HealthCheckResponse_ServingStatus{healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_NOT_SERVING} {
		if r, err := watch.Recv(); err != nil || r.GetStatus() != want {
			t.Fatalf("a stream: %v, %v", r, err)
		}
		s.health.Shutdown()
	}
}

func TestAShutdownLosesNoCall(t *testing.T) {
	e := &echo{}
	s := serve(t, e, nil)
	conn := s.dial(t)
	stopped, fine := make(chan struct{}), 0
	var callers sync.WaitGroup
	var mu sync.Mutex
	for range 8 {
		callers.Go(func() {
			for {
				_, err := call(t.Context(), conn, []byte("x"))
				mu.Lock()
				if err == nil {
					fine++
				}
				mu.Unlock()
				if err == nil {
					continue
				}
				select {
				case <-stopped: // nobody listens any more
				default:
					if status.Code(err) != codes.Unavailable || !bytes.Contains([]byte(err.Error()), []byte("refused")) {
						t.Errorf("a call was lost: %v", err)
					}
				}
				return
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	close(stopped)
	callers.Wait()
	if fine == 0 {
		t.Error("no call was answered")
	}
}

func TestAShutdownWaitsForCallsUnderWay(t *testing.T) {
	e := &echo{block: make(chan struct{})}
	s := serve(t, e, nil)
	conn := s.dial(t)
	answered := make(chan error, 1)
	go func() { _, err := call(t.Context(), conn, []byte("x")); answered <- err }()
	e.block <- struct{}{} // it is under way
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	go func() { _, err := call(t.Context(), conn, []byte("x")); answered <- err }()
	time.Sleep(50 * time.Millisecond)
	go func() { time.Sleep(100 * time.Millisecond); e.block <- struct{}{} }()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("a call under way was lost: %v", err)
	}
}

func TestAShutdownWaitsNoLongerThanItMay(t *testing.T) {
	s := serve(t, &echo{block: make(chan struct{})}, nil)
	conn := s.dial(t)
	answered := make(chan error, 1)
	go func() { _, err := call(t.Context(), conn, []byte("x")); answered <- err }()
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it waited for a call that does not end: %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("the call was answered")
	}
}

func TestAnOldConnectionIsReplacedWithoutALostCall(t *testing.T) {
	conn := serve(t, &echo{}, func(o *transport.Options) { o.MaxAge = 20 * time.Millisecond }).dial(t)
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if _, err := call(t.Context(), conn, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
}
