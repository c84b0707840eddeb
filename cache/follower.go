package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// FollowerOptions are a follower's bounds and what it tells.
type FollowerOptions struct {
	// Poll is how often the feed is read without a hint; it heals lost ones.
	Poll time.Duration
	// Lease is how long the caches are trusted after a successful read. It must
	// exceed Poll.
	Lease time.Duration
	// Replay is how many changes before the present end are noted at the start,
	// so that shared values from before it can be judged.
	Replay int
	// Forget empties every cache: the feed was pruned before it was read.
	Forget func()
	// Report, where set, tells the store how far this replica has come. The lease
	// is extended only after it has succeeded: whoever asks the store then never
	// believes the lease shorter than it is.
	Report func(ctx context.Context, applied identity.Revision) error
	Clock  func() time.Time
	Log    *slog.Logger
}

// Follower applies the feed to a replica's caches and knows how far it got.
type Follower struct {
	feed    Feed
	apply   func(identity.Change)
	fence   *Fence
	history *History
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

// NewFollower makes a follower that notes every change in the history and hands it
// to apply, within a new generation of the fence.
func NewFollower(feed Feed, fence *Fence, history *History, apply func(identity.Change), options FollowerOptions) (*Follower, error) {
	if options.Poll <= 0 || options.Lease <= options.Poll {
		return nil, fmt.Errorf("cache: the lease (%v) must exceed the poll interval (%v), both over 0", options.Lease, options.Poll)
	}
	if options.Clock == nil || options.Forget == nil || options.Log == nil {
		return nil, errors.New("cache: a follower needs a clock, a log and a way to forget")
	}
	return &Follower{feed: feed, fence: fence, history: history, apply: apply, options: options}, nil
}

// Start takes the feed's present end as the beginning. The replica is reported
// first, so that a change it may miss is one that waits for it. It must succeed
// before the caches are used.
func (f *Follower) Start(ctx context.Context) error {
	if err := f.report(ctx); err != nil {
		return err
	}
	latest, err := f.feed.LatestRevision(ctx)
	if err != nil {
		return fmt.Errorf("reading the end of the change feed: %w", err)
	}
	floor := latest - min(latest, identity.Revision(f.options.Replay))
	f.history.Restart(floor)
	f.mu.Lock()
	f.applied = floor
	f.mu.Unlock()
	return f.Catch(ctx)
}

// Run follows the feed until the context ends.
func (f *Follower) Run(ctx context.Context) {
	wake, cancel := f.feed.Wake()
	defer cancel()
	tick := time.NewTicker(f.options.Poll)
	defer tick.Stop()
	for {
		if err := f.Catch(ctx); err != nil && ctx.Err() == nil {
			f.options.Log.Warn("the change feed cannot be followed; caches are trusted until the lease ends",
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

// Catch applies everything committed so far, reports it, and extends the lease
// from the moment the last read began.
func (f *Follower) Catch(ctx context.Context) error {
	for {
		began := f.options.Clock()
		changes, err := f.read(ctx)
		switch {
		case errors.Is(err, identity.ErrPruned):
			err = f.restart(ctx)
			if err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("reading the change feed: %w", err)
		}
		if len(changes) > 0 {
			f.fence.Invalidate(func() {
				for _, change := range changes {
					f.history.Note(change)
					f.apply(change)
				}
			})
			f.advance(changes[len(changes)-1].Revision)
		}
		if len(changes) == batch {
			continue
		}
		if err := f.report(ctx); err != nil {
			return err
		}
		f.fence.Extend(began.Add(f.options.Lease))
		return nil
	}
}

func (f *Follower) read(ctx context.Context) ([]identity.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return f.feed.ChangesAfter(ctx, f.Applied(), batch)
}

func (f *Follower) report(ctx context.Context) error {
	if f.options.Report == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := f.options.Report(ctx, f.Applied()); err != nil {
		return fmt.Errorf("reporting this replica: %w", err)
	}
	return nil
}

// restart forgets everything and begins at the feed's present end.
func (f *Follower) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	latest, err := f.feed.LatestRevision(ctx)
	if err != nil {
		return fmt.Errorf("reading the end of the change feed: %w", err)
	}
	f.fence.Invalidate(func() {
		f.history.Restart(latest)
		f.options.Forget()
	})
	f.advance(latest)
	f.options.Log.Warn("the change feed was pruned before it was read; every cache was emptied", "revision", latest)
	return nil
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
		f.leave(w)
		return fmt.Errorf("waiting for revision %d to be applied: %w", revision, ctx.Err())
	}
}

func (f *Follower) leave(gone waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = slices.DeleteFunc(f.waiting, func(w waiter) bool { return w.reached == gone.reached })
}
