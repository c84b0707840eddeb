package authz

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"postern/authz/identity"
	"postern/authz/meter"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

// Tokens verifies the tokens of one profile.
type Tokens interface {
	// Cached answers from what was verified before, without blocking: claims, or
	// none and why the token is refused. It is false for what must be verified.
	Cached(digest identity.Digest, now time.Time) (*token.Claims, reason.Reason, bool)
	// Seen reports a token that was verified before and is remembered; never blocks.
	Seen(digest identity.Digest) bool
	// Verify may block for an issuer's keys. reason.Unset means valid.
	Verify(ctx context.Context, raw string, digest identity.Digest) (*token.Claims, reason.Reason, error)
}

// Ports are what the engine asks. All are required.
type Ports struct {
	Keys          Keys
	Organizations Source[identity.OrgID, *identity.Organization]
	Slugs         Source[identity.OrgSlug, *identity.Organization]
	Users         Source[identity.UserID, *identity.User]
	Subjects      Source[identity.SubjectRef, *identity.User]
	Memberships   Source[identity.MembershipRef, *identity.Membership]
	TokenStates   Source[identity.TokenRef, *identity.Token]
	Resources     Source[identity.ResourceRef, *identity.Resource]
	Ledger        meter.Ledger
}

// Snapshot is the configuration decisions are made under. It is immutable; the
// engine swaps it whole.
type Snapshot struct {
	Profiles *profile.Set
	// Default is the profile of hosts that no profile names; empty: none.
	Default identity.ProfileName
	// Tokens verifies for each profile that has issuers.
	Tokens map[identity.ProfileName]Tokens
	// AdminKeys are the digests of the profiles' administrator keys.
	AdminKeys map[identity.ProfileName]identity.Digest
}

// Options are the engine's bounds.
type Options struct {
	// Clock tells the time; required.
	Clock func() time.Time
	// MaxResolves bounds the decisions that may block at once; a further one is
	// denied as Overloaded. The last quarter is for credentials that this engine has
	// seen to be good. 0 means 1024.
	MaxResolves int
	// Panicked, where set, is told of every recovered panic, with its stack.
	Panicked func(cause any, stack []byte)
}

// Engine decides requests. It is safe for concurrent use.
type Engine struct {
	ports    Ports
	options  Options
	snapshot atomic.Pointer[Snapshot]
	resolves chan struct{}
}

// NewEngine makes an engine that decides under the snapshot.
func NewEngine(snapshot *Snapshot, ports Ports, options Options) (*Engine, error) {
	switch {
	case snapshot == nil || snapshot.Profiles == nil:
		return nil, errors.New("engine: a snapshot with profiles is required")
	case options.Clock == nil:
		return nil, errors.New("engine: a clock is required")
	case ports.Keys == nil || ports.Organizations == nil || ports.Slugs == nil || ports.Users == nil || ports.Subjects == nil ||
		ports.Memberships == nil || ports.TokenStates == nil || ports.Resources == nil || ports.Ledger == nil:
		return nil, errors.New("engine: every port is required")
	}
	if options.MaxResolves <= 0 {
		options.MaxResolves = 1024
	}
	e := &Engine{ports: ports, options: options, resolves: make(chan struct{}, options.MaxResolves)}
	e.snapshot.Store(snapshot)
	return e, nil
}

// Swap makes every later decision use the snapshot.
func (e *Engine) Swap(snapshot *Snapshot) { e.snapshot.Store(snapshot) }

// Snapshot is what decisions are made under now.
func (e *Engine) Snapshot() *Snapshot { return e.snapshot.Load() }

// Decide decides without blocking, from what is cached; NeedIO means that
// Resolve must be asked. It never debits.
func (e *Engine) Decide(in *Input, out *Decision) Verdict {
	now := in.At
	if now.IsZero() {
		now = e.options.Clock()
	}
	return e.enter(context.Background(), false, now, in, out)
}

// Resolve decides, and may block until the context's deadline. Its answer is
// Allow or Deny.
func (e *Engine) Resolve(ctx context.Context, own OwnedInput, out *Decision) Verdict {
	select {
	case e.resolves <- struct{}{}:
		defer func() { <-e.resolves }()
	default:
		return e.overloaded(&own.in, out)
	}
	if len(e.resolves) > cap(e.resolves)-cap(e.resolves)/4 && !e.knows(&own.in, out) {
		return e.overloaded(&own.in, out)
	}
	return e.enter(ctx, true, e.options.Clock(), &own.in, out)
}

// enter runs the checks; a panic in them is a denial.
func (e *Engine) enter(ctx context.Context, blocking bool, now time.Time, in *Input, out *Decision) (verdict Verdict) {
	out.Reset()
	c := check{
		engine: e, snapshot: e.snapshot.Load(), ctx: ctx, blocking: blocking,
		now: now, in: in, out: out,
	}
	defer func() {
		if cause := recover(); cause != nil {
			if e.options.Panicked != nil {
				e.options.Panicked(cause, debug.Stack())
			}
			verdict = c.fail(reason.Internal, fmt.Errorf("recovered from a panic: %v", cause))
		}
	}()
	return c.run()
}

// isAdminKey compares in constant time; both sides are digests.
func (s *Snapshot) isAdminKey(name identity.ProfileName, digest identity.Digest) bool {
	admin, ok := s.AdminKeys[name]
	return ok && subtle.ConstantTimeCompare(admin[:], digest[:]) == 1
}
