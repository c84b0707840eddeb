package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/authz/identity"
)

// Registry is where the replicas of one store say that they live and how far they
// have applied the feed. All its times are by the store's clock.
type Registry interface {
	// Beat registers a replica or renews its lease from now on.
	Beat(ctx context.Context, replica identity.Replica, lease time.Duration) error
	// ListReplicas returns the replicas and the store's present time.
	ListReplicas(ctx context.Context) ([]identity.Replica, time.Time, error)
	// Leave forgets a replica that has stopped.
	Leave(ctx context.Context, id identity.ReplicaID) error
	// WakeReplicas hints that a replica has beaten; a hint may be lost.
	WakeReplicas() (wake <-chan struct{}, cancel func())
}

// FleetOptions say who this replica is, and the bounds.
type FleetOptions struct {
	Self identity.Replica // its ID and Name
	// Lease is the follower's: how long a replica that stops beating may still
	// trust its caches.
	Lease time.Duration
	// Look is how often the registry is read, without a hint, while somebody waits.
	Look  time.Duration
	Clock func() time.Time
	Log   *slog.Logger
}

// Fleet is this replica's view of all replicas.
type Fleet struct {
	registry Registry
	options  FleetOptions
	reading  chan struct{} // held by the one who reads the registry
	latest   view          // guarded by reading

	mu   sync.Mutex
	hint chan struct{} // closed at the next beat of any replica
}

// view is the registry as it was read.
type view struct {
	began    time.Time // by this replica's clock
	now      time.Time // by the store's
	replicas []identity.Replica
}

// NewFleet makes a view of the registry; all options are required.
func NewFleet(registry Registry, o FleetOptions) (*Fleet, error) {
	if registry == nil || o.Clock == nil || o.Log == nil || o.Self.ID == "" || o.Lease <= 0 || o.Look <= 0 {
		return nil, errors.New("cache: a fleet needs a registry, this replica's id, a lease, an interval, a clock and a log")
	}
	return &Fleet{registry: registry, options: o, reading: make(chan struct{}, 1), hint: make(chan struct{})}, nil
}

// Report beats for this replica; it is the follower's Report.
func (f *Fleet) Report(ctx context.Context, applied identity.Revision) error {
	self := f.options.Self
	self.Applied = applied
	return f.registry.Beat(ctx, self, f.options.Lease)
}

// Leave takes this replica out of the count: it has stopped deciding.
func (f *Fleet) Leave(ctx context.Context) error {
	return f.registry.Leave(ctx, f.options.Self.ID)
}

// Run passes the registry's hints on until the context ends.
func (f *Fleet) Run(ctx context.Context) {
	wake, cancel := f.registry.WakeReplicas()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			f.mu.Lock()
			close(f.hint)
			f.hint = make(chan struct{})
			f.mu.Unlock()
		}
	}
}

func (f *Fleet) hinted() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.hint
}

// Replicas lists the replicas whose lease has not ended, and the store's time.
func (f *Fleet) Replicas(ctx context.Context) ([]identity.Replica, time.Time, error) {
	v, err := f.readSince(ctx, f.options.Clock())
	if err != nil {
		return nil, time.Time{}, err
	}
	return v.live(), v.now, nil
}

// Confirmation says how far a revision has come.
type Confirmation struct {
	InForce []identity.Replica // have applied it
	Pending []identity.Replica // may still decide from older records, until their LeaseUntil
	Elapsed time.Duration
}

// Confirm waits until every replica that may trust a cache has applied the
// revision, or the context ends; then it says which have not. A replica counts
// until its lease has ended by the store's clock. The error says that the registry
// could not be read.
func (f *Fleet) Confirm(ctx context.Context, revision identity.Revision) (Confirmation, error) {
	began := f.options.Clock()
	tick := time.NewTicker(f.options.Look)
	defer tick.Stop()
	for since := began; ; since = f.options.Clock() {
		hint := f.hinted() // before the registry is read, so that no beat falls between
		v, err := f.readSince(ctx, since)
		if err != nil {
			return Confirmation{}, err
		}
		c := v.confirmation(revision)
		c.Elapsed = f.options.Clock().Sub(began)
		if len(c.Pending) == 0 {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return c, nil
		case <-hint:
		case <-tick.C:
		}
	}
}

// readSince returns a view whose reading began at the moment or later. Those who
// wait at the same time share one.
func (f *Fleet) readSince(ctx context.Context, moment time.Time) (view, error) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	select {
	case f.reading <- struct{}{}:
		defer func() { <-f.reading }()
	case <-bounded.Done():
		return view{}, fmt.Errorf("waiting to read the registry of replicas: %w", bounded.Err())
	}
	if !f.latest.began.Before(moment) {
		return f.latest, nil
	}
	began := f.options.Clock()
	replicas, now, err := f.registry.ListReplicas(bounded)
	if err != nil {
		return view{}, fmt.Errorf("reading the registry of replicas: %w", err)
	}
	f.latest = view{began: began, now: now, replicas: replicas}
	return f.latest, nil
}

func (v view) live() []identity.Replica {
	var live []identity.Replica
	for _, r := range v.replicas {
		if r.LeaseUntil.After(v.now) {
			live = append(live, r)
		}
	}
	return live
}

func (v view) confirmation(revision identity.Revision) Confirmation {
	var c Confirmation
	for _, r := range v.live() {
		if r.Applied >= revision {
			c.InForce = append(c.InForce, r)
		} else {
			c.Pending = append(c.Pending, r)
		}
	}
	return c
}
