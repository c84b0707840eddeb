// Package extauthz serves Envoy's external authorization protocol (ext_authz v3,
// gRPC): it turns a CheckRequest into the engine's Input and the Decision into a
// CheckResponse. It knows the protocol and the engine, and decides nothing.
package extauthz

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"

	"postern/authz"
	"postern/authz/profile"
	"postern/authz/reason"
)

// Engine decides; see authz.Engine.
type Engine interface {
	Decide(in *authz.Input, out *authz.Decision) authz.Verdict
	Resolve(ctx context.Context, own authz.OwnedInput, out *authz.Decision) authz.Verdict
}

// Recorder counts decisions, their duration and the use of keys. It must not keep
// the decision.
type Recorder interface {
	Observe(d *authz.Decision, at time.Time, elapsed time.Duration)
	// Panicked counts a panic that was turned into a denial; each is a defect.
	Panicked(cause any, stack []byte)
}

// Journal writes the decision log.
type Journal interface {
	Write(ctx context.Context, in *authz.Input, out *authz.Decision, elapsed time.Duration)
}

// maxElapsed is how old a decision may be when it is sent. A process that was
// stopped and goes on must not answer from before the pause; Envoy has given up long
// before.
const maxElapsed = 2 * time.Second

// Server serves envoy.service.auth.v3.Authorization.
type Server struct {
	engine   Engine
	recorder Recorder
	journal  Journal
	clock    func() time.Time
	decoder  *decoder
	calls    sync.Pool // of *call
}

// NewServer makes a server; all arguments are required.
func NewServer(engine Engine, recorder Recorder, journal Journal, clock func() time.Time) (*Server, error) {
	if engine == nil || recorder == nil || journal == nil || clock == nil {
		return nil, errors.New("extauthz: an engine, a recorder, a journal and a clock are required")
	}
	decoder, err := newDecoder()
	if err != nil {
		return nil, err
	}
	s := &Server{engine: engine, recorder: recorder, journal: journal, clock: clock, decoder: decoder}
	s.calls.New = func() any { return &call{pool: &s.calls} }
	return s, nil
}

// Register makes the gRPC server, which must have been made with Codec, answer
// Checks.
func (s *Server) Register(to grpc.ServiceRegistrar) { to.RegisterService(&service, s) }

// Method is the full name of the one method, as it stands in the path.
const Method = authv3.Authorization_Check_FullMethodName

// service describes the one method, for which the call is both request and response.
var service = grpc.ServiceDesc{
	ServiceName: authv3.Authorization_ServiceDesc.ServiceName,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Check", Handler: handle}},
	Metadata:    authv3.Authorization_ServiceDesc.Metadata,
}

// handle reads the request, and writes the response, by the codec.
func handle(server any, ctx context.Context, read func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the order is grpc's
	s := server.(*Server)
	c := s.calls.Get().(*call)
	if err := read(c); err != nil {
		c.release()
		return nil, err
	}
	if intercept == nil {
		return s.decide(ctx, c), nil
	}
	info := &grpc.UnaryServerInfo{Server: s, FullMethod: authv3.Authorization_Check_FullMethodName}
	return intercept(ctx, c, info, func(ctx context.Context, _ any) (any, error) { return s.decide(ctx, c), nil })
}

func (s *Server) decide(ctx context.Context, c *call) *call {
	c.response = buffers.Get(responseSize)
	*c.response = s.check(ctx, c, c.request.ReadOnlyData(), (*c.response)[:0])
	return c
}

// Check decides one request, a CheckRequest in bytes, and appends the
// CheckResponse. It never fails: Envoy would answer a gRPC error in its own words,
// and every denial is in the words of the profile. It keeps no part of the request.
func (s *Server) Check(ctx context.Context, request, response []byte) []byte {
	c := s.calls.Get().(*call)
	defer c.release()
	return s.check(ctx, c, request, response)
}

// Try is Check where it need not block. Where it must, it appends nothing and
// returns the rest of the call, which may block and does not need the request.
func (s *Server) Try(request, response []byte) (answer []byte, rest func(ctx context.Context, response []byte) []byte) {
	c := s.calls.Get().(*call)
	answer = s.guarded(response, func() []byte {
		verdict := s.first(c, request)
		if verdict != authz.NeedIO {
			return s.answer(context.Background(), c, &c.in, verdict, response)
		}
		own := c.in.Own()
		rest = func(ctx context.Context, response []byte) []byte {
			defer c.release()
			return s.guarded(response, func() []byte { return s.second(ctx, c, own, response) })
		}
		return response
	})
	if rest == nil {
		c.release()
	}
	return answer, rest
}

func (s *Server) check(ctx context.Context, c *call, request, response []byte) []byte {
	return s.guarded(response, func() []byte {
		verdict := s.first(c, request)
		if verdict == authz.NeedIO {
			return s.second(ctx, c, c.in.Own(), response)
		}
		return s.answer(ctx, c, &c.in, verdict, response)
	})
}

// guarded turns a panic into a denial.
func (s *Server) guarded(response []byte, call func() []byte) (answer []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			s.recorder.Panicked(cause, debug.Stack())
			answer = appendDenied(response, &authz.Decision{Reason: reason.Internal}, false)
		}
	}()
	return call()
}

// first reads the request and decides as far as that is possible without blocking.
func (s *Server) first(c *call, request []byte) authz.Verdict {
	began := s.clock()
	ok := s.decoder.decode(request, &c.reading)
	c.in.At = began
	if !ok {
		return malformed(&c.decision)
	}
	return s.engine.Decide(&c.in, &c.decision)
}

// second decides what first could not, and may block.
func (s *Server) second(ctx context.Context, c *call, own authz.OwnedInput, response []byte) []byte {
	return s.answer(ctx, c, own.Input(), s.resolve(ctx, own, &c.decision), response)
}

// answer records the decision and appends the response.
func (s *Server) answer(ctx context.Context, c *call, in *authz.Input, verdict authz.Verdict, response []byte) []byte {
	decision, ended := &c.decision, s.clock()
	elapsed := ended.Sub(in.At)
	if verdict == authz.Allow && (elapsed > maxElapsed || ctx.Err() != nil) {
		verdict = tooLate(decision)
	}
	s.recorder.Observe(decision, ended, elapsed)
	s.journal.Write(ctx, in, decision, elapsed)
	if verdict == authz.Allow {
		return appendAllowed(response, decision, in.Stripped)
	}
	return appendDenied(response, decision, speaksGRPC(in))
}

// malformed denies what is no CheckRequest. Not even this is a gRPC error, which an
// Envoy may be configured to let pass.
func malformed(d *authz.Decision) authz.Verdict {
	d.Reset()
	d.Reason, d.Answer, d.Cause = reason.BadRequest, profile.Closed(reason.BadRequest), errors.New("not a CheckRequest")
	return authz.Deny
}

// margin is what is kept of the caller's deadline for the way back, so that a
// denial is in the profile's own words and not Envoy's; at most a tenth.
const margin = 25 * time.Millisecond

// resolve lets the engine block until shortly before the caller's deadline.
func (s *Server) resolve(ctx context.Context, own authz.OwnedInput, out *authz.Decision) authz.Verdict {
	deadline, ok := ctx.Deadline()
	if !ok {
		return s.engine.Resolve(ctx, own, out)
	}
	left := time.Until(deadline) //nolint:forbidigo // a context's deadline is by the machine's clock
	bounded, cancel := context.WithDeadline(ctx, deadline.Add(-min(margin, left/10)))
	defer cancel()
	return s.engine.Resolve(bounded, own, out)
}

// tooLate turns an allow into a denial.
func tooLate(d *authz.Decision) authz.Verdict {
	d.Reason, d.Set, d.Remove = reason.Unavailable, nil, nil
	d.Cause = errors.New("the decision came after its deadline")
	if d.Answer = profile.Closed(reason.Unavailable); d.Profile != nil {
		d.Answer = d.Profile.Answer(d.Route, reason.Unavailable)
	}
	return authz.Deny
}
