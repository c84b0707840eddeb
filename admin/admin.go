// Package admin holds the use cases of the management API: what an
// administrator may do to organizations, users, keys, tokens, resources and
// credits, and how each request is validated. It knows the store's roles, the
// profiles and the shape of keys; it knows no transport, no SQL and no engine.
package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"time"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/store"
)

// Store is what the use cases keep their records in.
type Store interface {
	store.Organizations
	store.Users
	store.Keys
	store.Tokens
	store.Resources
	store.Audit

	// The accounts; charging them is the engine's business (see store.Credits).
	TopUp(ctx context.Context, by store.Actor, org identity.OrgID, amount identity.Credits, note string, at time.Time) (store.Account, error)
	SetPayAsYouGo(ctx context.Context, by store.Actor, org identity.OrgID, on bool) (store.Account, error)
	Account(ctx context.Context, org identity.OrgID) (store.Account, error)
	ListLedger(ctx context.Context, org identity.OrgID, page store.Page) ([]store.LedgerEntry, string, error)

	// LatestRevision is the largest committed revision (see store.Changes).
	LatestRevision(ctx context.Context) (identity.Revision, error)
}

// TokenSpec is a token to be signed.
type TokenSpec struct {
	ID          identity.TokenID
	Profile     *profile.Profile
	Subject     string           // the user's
	User        identity.UserID  // whose it is
	Org         identity.OrgID   // empty: the token names no organization
	OrgSlug     identity.OrgSlug // of Org
	Grants      identity.Grants
	Environment identity.Environment
	IssuedAt    time.Time
	ExpiresAt   time.Time
}

// TokenSigner signs tokens of Postern's own issuer.
type TokenSigner interface {
	// SignToken returns the signed token; the error never holds it.
	SignToken(ctx context.Context, spec TokenSpec) (identity.Secret, error)
}

// Request is a request to be decided.
type Request struct {
	Profile identity.ProfileName // empty: Host decides
	Host    string
	Method  string
	Path    string           // with its query
	Headers []profile.Header // as sent, names in lower case, repeats included
	// Scheme is what the client used to reach the edge, "http" or "https".
	Scheme string
}

// Explanation is a decision with its true reason. It never holds a credential.
type Explanation struct {
	Allow   bool
	Reason  reason.Reason
	Profile identity.ProfileName // empty: none serves the host
	Route   string               // as written in the profile; empty: not reached
	Cost    identity.Credits     // what the route costs
	Caller  Caller
	Set     []profile.Header // what the upstream would receive, of an allow
	Remove  []string         // what it would not receive, of an allow
	Answer  *profile.Answer  // what the client would receive, of a denial
}

// Caller is who a request is from, as far as that was found out.
type Caller struct {
	Method  identity.Method
	Org     identity.OrgID
	OrgSlug identity.OrgSlug
	User    identity.UserID
	Key     identity.KeyID
	Grants  identity.Grants
}

// Decider asks the engine without any effect: nothing is debited.
type Decider interface {
	Explain(ctx context.Context, request Request) (Explanation, error)
}

// Confirmation says how far a change has come.
type Confirmation struct {
	InForce  int           // replicas that have applied it
	Replicas int           // live replicas
	Elapsed  time.Duration // from the question until the answer
	// Pending are the live replicas that have not; each may decide from an older
	// record until its LeaseUntil.
	Pending []identity.Replica
}

// Complete reports whether every live replica has applied the change.
func (c Confirmation) Complete() bool { return c.Replicas > 0 && c.InForce == c.Replicas }

// Until is when the last pending replica stops deciding from an older record; zero
// where none is pending.
func (c Confirmation) Until() time.Time {
	var until time.Time
	for _, r := range c.Pending {
		if r.LeaseUntil.After(until) {
			until = r.LeaseUntil
		}
	}
	return until
}

// Confirmer waits until every live replica has applied a revision.
type Confirmer interface {
	// Confirm waits, bounded by itself and by the context, and says how far the
	// change has come. An error means that this could not be found out.
	Confirm(ctx context.Context, revision identity.Revision) (Confirmation, error)
}

// Fleet knows the replicas that run over the store.
type Fleet interface {
	// Replicas returns the replicas whose lease has not ended, oldest first, and
	// the store's present time.
	Replicas(ctx context.Context) ([]identity.Replica, time.Time, error)
}

// Usages knows how keys are used.
type Usages interface {
	// Usage returns a key's counts (see store.Usages).
	Usage(ctx context.Context, id identity.KeyID) (store.KeyUsage, error)
}

// Options are what a Service is made of. All but Random and Logger are required.
type Options struct {
	Store Store
	// Profile finds a profile by its exact name in the configuration in force.
	Profile   func(identity.ProfileName) (*profile.Profile, bool)
	Signer    TokenSigner
	Decider   Decider
	Confirmer Confirmer
	Fleet     Fleet
	Usages    Usages
	Clock     func() time.Time
	Random    io.Reader    // of secrets; nil: the system's
	Logger    *slog.Logger // nil: nothing is logged
}

// Service is the use cases. It is safe for concurrent use. Its errors are
// *Error, or the context's.
type Service struct {
	store     Store
	profile   func(identity.ProfileName) (*profile.Profile, bool)
	signer    TokenSigner
	decider   Decider
	confirmer Confirmer
	fleet     Fleet
	usages    Usages
	clock     func() time.Time
	random    io.Reader
	log       *slog.Logger
}

// NewService makes the use cases; an error names the missing part.
func NewService(o Options) (*Service, error) {
	switch {
	case o.Store == nil:
		return nil, errors.New("admin service: a store is required")
	case o.Profile == nil:
		return nil, errors.New("admin service: a way to find profiles is required")
	case o.Signer == nil:
		return nil, errors.New("admin service: a token signer is required")
	case o.Decider == nil:
		return nil, errors.New("admin service: a decider is required")
	case o.Confirmer == nil:
		return nil, errors.New("admin service: a confirmer is required")
	case o.Fleet == nil:
		return nil, errors.New("admin service: a fleet is required")
	case o.Usages == nil:
		return nil, errors.New("admin service: the usages of keys are required")
	case o.Clock == nil:
		return nil, errors.New("admin service: a clock is required")
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: o.Store, profile: o.Profile, signer: o.Signer, decider: o.Decider,
		confirmer: o.Confirmer, fleet: o.Fleet, usages: o.Usages, clock: o.Clock, random: o.Random, log: o.Logger,
	}, nil
}

// Now is the time by which the use cases decide.
func (s *Service) Now() time.Time { return s.clock() }

// confirm waits for a committed change. The change stands whatever comes of the
// waiting, so not knowing is a Confirmation too: of no replica.
func (s *Service) confirm(ctx context.Context, revision identity.Revision) Confirmation {
	c, err := s.confirmer.Confirm(ctx, revision)
	if err != nil {
		s.log.WarnContext(ctx, "a change is committed but could not be confirmed", "revision", revision, "error", err)
		return Confirmation{}
	}
	if !c.Complete() {
		s.log.WarnContext(ctx, "a change is committed but not in force everywhere", "revision", revision,
			"in_force", c.InForce, "replicas", c.Replicas, "until", c.Until())
	}
	return c
}

// confirmLatest confirms a change whose record is gone.
func (s *Service) confirmLatest(ctx context.Context) Confirmation {
	revision, err := s.store.LatestRevision(ctx)
	if err != nil {
		s.log.WarnContext(ctx, "a change is committed but could not be confirmed", "error", err)
		return Confirmation{}
	}
	return s.confirm(ctx, revision)
}
