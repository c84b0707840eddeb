package cache

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"postern/authz/identity"
)

// feed is a list that can be cut off; the store's own feeds have their suite.
type feed struct {
	mu      sync.Mutex
	changes []identity.Change
	broken  error
	wake    chan struct{}
	loseAll bool
	pruned  identity.Revision
}

func (f *feed) add(t *testing.T, key identity.KeyID) identity.Revision {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	revision := identity.Revision(len(f.changes) + 1)
	f.changes = append(f.changes, identity.Change{Revision: revision, Kind: identity.ChangeKey, Key: key})
	if !f.loseAll {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	return revision
}

func (f *feed) cut(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = err
}

func (f *feed) ChangesAfter(_ context.Context, after identity.Revision, limit int) ([]identity.Change, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.broken
	}
	if after < f.pruned {
		return nil, identity.ErrPruned
	}
	rest := f.changes[after:]
	return rest[:min(limit, len(rest))], nil
}

func (f *feed) LatestRevision(context.Context) (identity.Revision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return identity.Revision(len(f.changes)), f.broken
}

func (f *feed) Wake() (<-chan struct{}, func()) { return f.wake, func() {} }

type followed struct {
	*Follower
	feed       *feed
	fence      *Fence
	history    *History
	clock      *clock
	seen       []identity.KeyID
	forgotten  int
	unreported error
}

func follow(t *testing.T, poll time.Duration) *followed {
	t.Helper()
	f := &followed{feed: &feed{wake: make(chan struct{}, 1)}, fence: &Fence{}, clock: newClock()}
	var err error
	f.history = NewHistory(1000, 0)
	f.Follower, err = NewFollower(f.feed, f.fence, f.history, func(c identity.Change) { f.seen = append(f.seen, c.Key) }, FollowerOptions{
		Poll: poll, Lease: poll + 5*time.Second, Clock: f.clock.now, Log: slog.New(slog.DiscardHandler),
		Forget: func() { f.forgotten++ },
		Report: func(context.Context, identity.Revision) error { return f.unreported },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *followed) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func (f *followed) reach(t *testing.T, revision identity.Revision) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := f.Reach(ctx, revision); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeIsAppliedOnceItsRevisionIsReached(t *testing.T) {
	f := follow(t, time.Hour)
	f.run(t)
	for i := range 1200 { // more than two batches
		f.feed.add(t, identity.KeyID(rune('a'+i%26)))
	}
	f.reach(t, 1200)
	f.fence.Invalidate(func() {
		if len(f.seen) != 1200 {
			t.Errorf("%d changes were applied", len(f.seen))
		}
	})
}

func TestALostWakeUpIsHealedByPolling(t *testing.T) {
	f := follow(t, 10*time.Millisecond)
	f.feed.loseAll = true
	f.run(t)
	f.reach(t, f.feed.add(t, "k"))
}

func TestTheHistoryBeforeTheStartIsNotApplied(t *testing.T) {
	f := follow(t, time.Hour)
	f.feed.add(t, "old")
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.feed.add(t, "new")
	if err := f.Catch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.seen) != 1 || f.seen[0] != "new" {
		t.Errorf("applied %v", f.seen)
	}
}

func TestTheLeaseGrowsOnlyWhenTheFeedWasRead(t *testing.T) {
	f := follow(t, time.Second)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(5 * time.Second)
	if !f.fence.Trusted(f.clock.now()) {
		t.Error("the lease ended early")
	}
	broken := errors.New("cut off")
	f.feed.cut(broken)
	if err := f.Catch(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Catch = %v", err)
	}
	f.clock.advance(time.Second)
	if f.fence.Trusted(f.clock.now()) {
		t.Error("the lease outlived its length though the feed cannot be read")
	}
	f.feed.cut(nil)
	if err := f.Catch(t.Context()); err != nil || !f.fence.Trusted(f.clock.now()) {
		t.Errorf("after the feed is back: %v, trusted %v", err, f.fence.Trusted(f.clock.now()))
	}
}

func TestStartFailsWhereTheFeedCannotBeRead(t *testing.T) {
	f := follow(t, time.Second)
	f.feed.cut(errors.New("cut off"))
	if err := f.Start(t.Context()); err == nil || f.fence.Trusted(f.clock.now()) {
		t.Errorf("Start = %v, trusted %v", err, f.fence.Trusted(f.clock.now()))
	}
}

func TestReachEndsWithItsContext(t *testing.T) {
	f := follow(t, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := f.Reach(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Reach = %v", err)
	}
}

func TestALeaseThatCannotOutliveThePollIsRefused(t *testing.T) {
	if _, err := NewFollower(&feed{}, &Fence{}, NewHistory(1, 0), nil, FollowerOptions{Poll: time.Second, Lease: time.Second}); err == nil {
		t.Error("accepted")
	}
}

func TestTheLeaseGrowsOnlyOnceTheReplicaIsReported(t *testing.T) {
	f := follow(t, time.Second)
	f.unreported = errors.New("the registry is away")
	if err := f.Start(t.Context()); !errors.Is(err, f.unreported) || f.fence.Trusted(f.clock.now()) {
		t.Errorf("Start = %v, trusted %v", err, f.fence.Trusted(f.clock.now()))
	}
	f.unreported = nil
	if err := f.Start(t.Context()); err != nil || !f.fence.Trusted(f.clock.now()) {
		t.Errorf("Start = %v, trusted %v", err, f.fence.Trusted(f.clock.now()))
	}
	f.clock.advance(4 * time.Second)
	f.unreported = errors.New("away again")
	if err := f.Catch(t.Context()); err == nil {
		t.Error("Catch is silent about it")
	}
	f.clock.advance(2 * time.Second)
	if f.fence.Trusted(f.clock.now()) {
		t.Error("the lease grew though nobody was told")
	}
}

func TestAFeedThatWasPrunedEmptiesTheCaches(t *testing.T) {
	f := follow(t, time.Second)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		f.feed.add(t, "k")
	}
	f.feed.pruned = 5
	if err := f.Catch(t.Context()); err != nil || f.forgotten != 1 || f.Applied() != 10 || len(f.seen) != 0 {
		t.Errorf("Catch = %v, forgotten %d times, applied %d, seen %d", err, f.forgotten, f.Applied(), len(f.seen))
	}
	if f.history.Believes(9, KeySubject("other")) || !f.history.Believes(10, KeySubject("k")) {
		t.Error("the history judges what it cannot know")
	}
}
