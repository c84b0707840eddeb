package cache

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"postern/authz/identity"
)

// registry is a store's registry of replicas with a clock of its own.
type registry struct {
	mu       sync.Mutex
	clock    *clock
	replicas map[identity.ReplicaID]identity.Replica
	wake     chan struct{}
	broken   error
}

func (r *registry) Beat(_ context.Context, replica identity.Replica, lease time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	replica.Applied = max(replica.Applied, r.replicas[replica.ID].Applied)
	replica.SeenAt = r.clock.now()
	replica.LeaseUntil = replica.SeenAt.Add(lease)
	r.replicas[replica.ID] = replica
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return nil
}

func (r *registry) ListReplicas(context.Context) ([]identity.Replica, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []identity.Replica
	for _, replica := range r.replicas {
		list = append(list, replica)
	}
	return list, r.clock.now(), r.broken
}

func (r *registry) Leave(_ context.Context, id identity.ReplicaID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.replicas, id)
	return nil
}

func (r *registry) WakeReplicas() (<-chan struct{}, func()) { return r.wake, func() {} }

func newFleet(t *testing.T) (*Fleet, *registry) {
	t.Helper()
	r := &registry{clock: newClock(), replicas: map[identity.ReplicaID]identity.Replica{}, wake: make(chan struct{}, 1)}
	f, err := NewFleet(r, FleetOptions{
		Self: identity.Replica{ID: "a", Name: "a"}, Lease: 5 * time.Second, Look: 10 * time.Millisecond,
		Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return f, r
}

func (f *Fleet) beat(t *testing.T, r *registry, id identity.ReplicaID, applied identity.Revision) {
	t.Helper()
	if err := r.Beat(t.Context(), identity.Replica{ID: id, Name: string(id), Applied: applied}, 5*time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeIsConfirmedOnceEveryReplicaHasAppliedIt(t *testing.T) {
	f, r := newFleet(t)
	f.beat(t, r, "a", 7)
	f.beat(t, r, "b", 6)
	confirmed := make(chan Confirmation)
	go func() {
		c, err := f.Confirm(t.Context(), 7)
		if err != nil {
			t.Error(err)
		}
		confirmed <- c
	}()
	select {
	case c := <-confirmed:
		t.Fatalf("confirmed too early: %+v", c)
	case <-time.After(50 * time.Millisecond):
	}
	f.beat(t, r, "b", 7)
	if c := <-confirmed; len(c.InForce) != 2 || len(c.Pending) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAReplicaThatLagsIsNamedWithTheEndOfItsLease(t *testing.T) {
	f, r := newFleet(t)
	f.beat(t, r, "a", 7)
	f.beat(t, r, "b", 6)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	c, err := f.Confirm(ctx, 7)
	if err != nil || len(c.InForce) != 1 || len(c.Pending) != 1 || c.Pending[0].Name != "b" ||
		!c.Pending[0].LeaseUntil.Equal(r.clock.now().Add(5*time.Second)) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestADeadReplicaLeavesTheCountWhenItsLeaseHasEnded(t *testing.T) {
	f, r := newFleet(t)
	f.beat(t, r, "dead", 6)
	r.clock.advance(4 * time.Second)
	f.beat(t, r, "a", 7)
	confirmed := make(chan Confirmation)
	go func() {
		c, _ := f.Confirm(t.Context(), 7)
		confirmed <- c
	}()
	select {
	case c := <-confirmed:
		t.Fatalf("confirmed while a lease runs: %+v", c)
	case <-time.After(50 * time.Millisecond):
	}
	r.clock.advance(time.Second)
	if c := <-confirmed; len(c.InForce) != 1 || c.InForce[0].Name != "a" {
		t.Errorf("%+v", c)
	}
}

func TestARegistryThatCannotBeReadConfirmsNothing(t *testing.T) {
	f, r := newFleet(t)
	f.beat(t, r, "a", 7)
	r.broken = context.DeadlineExceeded
	if c, err := f.Confirm(t.Context(), 7); err == nil {
		t.Errorf("%+v", c)
	}
}

func TestAReplicaThatLeftIsNotWaitedFor(t *testing.T) {
	f, r := newFleet(t)
	if err := f.Report(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	f.beat(t, r, "b", 9)
	if err := f.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := f.Confirm(t.Context(), 9); err != nil || len(c.InForce) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}
