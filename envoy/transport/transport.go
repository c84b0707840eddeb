// Package transport serves gRPC over HTTP/2 (RFC 9113) where one unary method is
// called far more often than all others together: a call of it that need not block
// is answered by the goroutine that reads the connection, without a stream, a
// context, a timer or a goroutine of its own. Every other call goes to an
// http.Handler, such as a grpc.Server.
//
// Frames and header compression are those of golang.org/x/net/http2. The package
// knows no message and decides nothing.
package transport

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Unary is the method that is called often.
type Unary interface {
	// Try answers a message without blocking: it appends the response. Where it has
	// to block it appends nothing and returns the rest of the call, which is run in a
	// goroutine of its own. It keeps no part of the request.
	Try(request, response []byte) (answer []byte, rest func(ctx context.Context, response []byte) []byte)
}

// Options say what is served and within which bounds.
type Options struct {
	// Path is the method's, such as /package.Service/Method.
	Path  string
	Unary Unary
	// Others serves every other call, and what is odd about a call of Path: it is
	// compressed, or no gRPC at all. It must answer like a grpc.Server's ServeHTTP.
	Others http.Handler
	// MaxMessage bounds a request of Path, in bytes.
	MaxMessage int
	// MaxStreams bounds the calls under way on one connection.
	MaxStreams uint32
	// MaxAge is when a connection is asked to end, give or take a tenth, so that
	// clients spread over new servers; MaxAgeGrace is how long it then may take.
	MaxAge, MaxAgeGrace time.Duration
	Log                 *slog.Logger
}

// Server serves connections. Make one with NewServer.
type Server struct {
	options Options

	mu       sync.Mutex
	stopping bool
	conns    map[*conn]struct{}
	listener net.Listener
	ended    sync.WaitGroup // of the connections
}

// NewServer makes a server; all options are required.
func NewServer(o Options) (*Server, error) {
	if o.Path == "" || o.Unary == nil || o.Others == nil || o.MaxMessage <= 0 || o.MaxStreams == 0 || o.MaxAge <= 0 || o.MaxAgeGrace <= 0 || o.Log == nil {
		return nil, errors.New("transport: every option is required")
	}
	return &Server{options: o, conns: map[*conn]struct{}{}}, nil
}

// ErrStopped is what Serve returns after Shutdown.
var ErrStopped = errors.New("transport: the server was stopped")

// Serve accepts connections until Shutdown, which closes the listener.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listener = l
	stopping := s.stopping
	s.mu.Unlock()
	if stopping {
		return errors.Join(ErrStopped, l.Close())
	}
	for pause := time.Duration(0); ; {
		accepted, err := l.Accept()
		if err == nil {
			pause = 0
			s.start(accepted)
			continue
		}
		if s.isStopping() {
			return ErrStopped
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of file descriptors, most likely: those of now are served on.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.options.Log.Warn("a connection could not be accepted; trying again", "error", err, "after", pause.String())
		time.Sleep(pause)
	}
}

func (s *Server) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

// start serves a connection in goroutines of its own.
func (s *Server) start(accepted net.Conn) {
	c := newConn(s, accepted)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		_ = accepted.Close()
		return
	}
	s.conns[c] = struct{}{}
	age := time.AfterFunc(spread(s.options.MaxAge), func() {
		c.goAway()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed {
			c.timers = append(c.timers, time.AfterFunc(s.options.MaxAgeGrace, c.close))
		}
	})
	s.ended.Go(func() {
		defer func() {
			age.Stop()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.conns, c)
		}()
		c.serve()
	})
}

// spread is the age, give or take a tenth.
func spread(age time.Duration) time.Duration {
	return age - age/10 + rand.N(age/5+1) //nolint:gosec // only spreads the connections
}

// Shutdown accepts no more connections, asks every client to send no more calls,
// and waits until those under way are answered. When the context ends it closes
// what is left, and returns its error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopping = true
	if s.listener != nil {
		_ = s.listener.Close() // Serve tells of it
	}
	open := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.mu.Unlock()
	for _, c := range open {
		c.goAway()
	}
	ended := make(chan struct{})
	go func() { defer close(ended); s.ended.Wait() }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	for _, c := range open {
		c.close()
	}
	<-ended
	return ctx.Err()
}
