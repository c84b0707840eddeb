// Package extauthz serves Envoy's external authorization protocol (ext_authz v3,
// gRPC): it turns a CheckRequest into the engine's Input and the Decision into a
// CheckResponse. It knows the protocol and the engine, and decides nothing.
package extauthz

import (
	"context"
	"errors"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

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
	Observe(d *authz.Decision, elapsed time.Duration)
}

// Journal writes the decision log.
type Journal interface {
	Write(ctx context.Context, in *authz.Input, out *authz.Decision, elapsed time.Duration)
}

// maxElapsed is how old a decision may be when it is sent. A process that was
// stopped and goes on must not answer from before the pause; Envoy has given up long
// before.
const maxElapsed = 2 * time.Second

// Server implements envoy.service.auth.v3.Authorization.
type Server struct {
	authv3.UnimplementedAuthorizationServer
	engine   Engine
	recorder Recorder
	journal  Journal
	clock    func() time.Time
}

// NewServer makes a server; all arguments are required.
func NewServer(engine Engine, recorder Recorder, journal Journal, clock func() time.Time) (*Server, error) {
	if engine == nil || recorder == nil || journal == nil || clock == nil {
		return nil, errors.New("extauthz: an engine, a recorder, a journal and a clock are required")
	}
	return &Server{engine: engine, recorder: recorder, journal: journal, clock: clock}, nil
}

// Check decides one request. It never returns a gRPC error: Envoy would answer
// that in its own words, and every denial is in the words of the profile.
func (s *Server) Check(ctx context.Context, request *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	began := s.clock()
	var decision authz.Decision
	in := inputOf(request)
	verdict := s.engine.Decide(&in, &decision)
	if verdict == authz.NeedIO {
		verdict = s.resolve(ctx, in.Own(), &decision)
	}
	elapsed := s.clock().Sub(began)
	if verdict == authz.Allow && (elapsed > maxElapsed || ctx.Err() != nil) {
		verdict = tooLate(&decision)
	}
	s.recorder.Observe(&decision, elapsed)
	s.journal.Write(ctx, &in, &decision, elapsed)
	if verdict == authz.Allow {
		return allowed(&decision), nil
	}
	return denied(&decision, speaksGRPC(&in)), nil
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
