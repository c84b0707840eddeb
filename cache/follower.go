package cache

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"postern/authz/identity"
)

// Feed is the store's ordered list of changes.
type Feed interface {
	// ChangesAfter returns up to limit changes with a larger revision, in order.
	ChangesAfter(ctx context.Context, after identity.Revision, limit int) ([]identity.Change, error)
	// LatestRevision is the largest committed one.
	LatestRevision(ctx context.Context) (identity.Revision, error)
	// Wake hints that there are new changes; a hint may be lost.
	Wake() (wake <-chan struct{}, cancel func())
}

// FollowerOptions are a follower's bounds.
type FollowerOptions struct {
	// Poll is how often the feed is read without a hint; it heals lost ones.
	Poll time.Duration
	// Lease is how long the caches are trusted after a successful read. It must
	// exceed Poll.
	Lease time.Duration
	Clock func() time.Time
	Log   *slog.Logger
}

// Follower applies the feed to a replica's caches and knows how far it got.
type Follower struct {
	feed    Feed
	apply   func(identity.Change)
	fence   *Fence
	options FollowerOptions

	mu      sync.Mutex
	applied identity.Revision
	waiting []waiter
}

type waiter struct {
	revision identity.Revision
	reached  chan struct{}
}

const (
	batch       = 500
	readTimeout = 2 * time.Second
)

// NewFollower makes a follower that hands every change to apply, within a new
// generation of the fence.
func NewFollower(feed Feed, fence *Fence, apply func(identity.Change), options FollowerOptions) (*Follower, error) {
	if options.Poll <= 0 || options.Lease <= options.Poll {
		return nil, fmt.Errorf("cache: the lease (%v) must exceed the poll interval (%v), both over 0", options.Lease, options.Poll)
	}
	return &Follower{feed: feed, fence: fence, apply: apply, options: options}, nil
}

// Start takes the feed's present end as the beginning: empty caches need no
// history. It must succeed before the caches are used.
func (f *Follower) Start(ctx context.Context) error {
	began := f.options.Clock()
	latest, err := f.feed.LatestRevision(ctx)
	if err != nil {
		return fmt.Errorf("reading the end of the change feed: %w", err)
	}
	f.mu.Lock()
	f.applied = latest
	f.mu.Unlock()
	f.fence.Extend(began.Add(f.options.Lease))
	return nil
}

// Run follows the feed until the context ends.
func (f *Follower) Run(ctx context.Context) {
	wake, cancel := f.feed.Wake()
	defer cancel()
	tick := time.NewTicker(f.options.Poll)
	defer tick.Stop()
	for {
		if err := f.Catch(ctx); err != nil && ctx.Err() == nil {
			f.options.Log.Warn("the change feed cannot be read; caches are trusted until the lease ends",
				"error", err, "lease", f.fence.Lease())
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-tick.C:
		}
	}
}

// Catch applies everything committed so far and, once nothing is left, extends the
// lease from the moment the last read began.
func (f *Follower) Catch(ctx context.Context) error {
	for {
		began := f.options.Clock()
		read, cancel := context.WithTimeout(ctx, readTimeout)
		changes, err := f.feed.ChangesAfter(read, f.Applied(), batch)
		cancel()
		if err != nil {
			return fmt.Errorf("reading the change feed: %w", err)
		}
		if len(changes) == 0 {
			f.fence.Extend(began.Add(f.options.Lease))
			return nil
		}
		f.fence.Invalidate(func() {
			for _, change := range changes {
				f.apply(change)
			}
		})
		f.advance(changes[len(changes)-1].Revision)
	}
}

func (f *Follower) advance(to identity.Revision) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = max(f.applied, to)
	still := f.waiting[:0]
	for _, w := range f.waiting {
		if w.revision <= f.applied {
			close(w.reached)
		} else {
			still = append(still, w)
		}
	}
	f.waiting = still
}

// Applied is the revision up to which the caches are known to agree with the store.
func (f *Follower) Applied() identity.Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.applied
}

// Reach waits until the revision is applied, or returns the context's error.
func (f *Follower) Reach(ctx context.Context, revision identity.Revision) error {
	f.mu.Lock()
	if f.applied >= revision {
		f.mu.Unlock()
		return nil
	}
	w := waiter{revision: revision, reached: make(chan struct{})}
	f.waiting = append(f.waiting, w)
	f.mu.Unlock()
	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for revision %d to be applied: %w", revision, ctx.Err())
	}
}
