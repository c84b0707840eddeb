// Package cache keeps what the store said for a short and absolute time, close
// to the decision, and forgets it when the change feed says so. It knows the
// engine's ports and no store: what it loads from, and what feeds it, are ports.
package cache

import (
	"sync"
	"sync/atomic"
	"time"
)

// Fence orders loads against invalidations. A load that began before an
// invalidation must not be cached after it, nor be shared with a caller that came
// after it: it may have read what is no longer true. One fence guards all tiers
// of a replica, and holds the lease under which they may be trusted.
type Fence struct {
	mu         sync.RWMutex // held for reading while a load is cached
	generation uint64
	lease      atomic.Int64 // Unix nanoseconds
}

// Generation numbers the invalidations so far.
func (f *Fence) Generation() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.generation
}

// admit runs the fill unless an invalidation came since the generation.
func (f *Fence) admit(generation uint64, fill func()) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.generation == generation {
		fill()
	}
}

// Invalidate starts a new generation and runs the removal within it.
func (f *Fence) Invalidate(remove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.generation++
	remove()
}

// Extend trusts the caches until the given time. It never shortens.
func (f *Fence) Extend(until time.Time) {
	for {
		now := f.lease.Load()
		if until.UnixNano() <= now || f.lease.CompareAndSwap(now, until.UnixNano()) {
			return
		}
	}
}

// Trusted reports whether the lease covers the moment: whether the feed was read
// recently enough for the caches to be believed.
func (f *Fence) Trusted(now time.Time) bool { return now.UnixNano() < f.lease.Load() }

// Lease is when the trust ends.
func (f *Fence) Lease() time.Time { return time.Unix(0, f.lease.Load()) }
