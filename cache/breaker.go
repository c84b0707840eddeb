package cache

import (
	"context"
	"errors"
	"sync"
	"time"

	"postern/authz/identity"
)

// ErrOpen: the shared cache failed too often just now, and was not asked.
var ErrOpen = errors.New("the shared cache is left alone after failures")

// BreakerState is what a breaker does with a call.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // asks
	BreakerOpen     BreakerState = "open"      // asks nothing
	BreakerHalfOpen BreakerState = "half_open" // asks once, to see
)

// What opens a breaker, and for how long.
const (
	breakerFailures = 5
	breakerPause    = time.Second
)

// Breaker is a shared cache that is left alone while it is failing, so that an
// outage costs a look-up nothing but a miss. Five failures in a row open it; from
// then on one call a second is let through, until one succeeds. A caller that
// gave up counts for nothing, one whose time ran out is a failure. It is safe for
// concurrent use.
type Breaker struct {
	shared Shared
	clock  func() time.Time

	mu       sync.Mutex
	failures int       // in a row; breakerFailures: open
	until    time.Time // when open: of the pause
	probing  bool      // when open: a call is under way to see
	era      uint64    // numbers the openings and closings: a call of an earlier era tells nothing
}

// NewBreaker guards a shared cache; the clock measures the pauses.
func NewBreaker(shared Shared, clock func() time.Time) (*Breaker, error) {
	if shared == nil || clock == nil {
		return nil, errors.New("cache: a breaker needs a shared cache and a clock")
	}
	return &Breaker{shared: shared, clock: clock}, nil
}

// State is what the next call would meet.
func (b *Breaker) State() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < breakerFailures:
		return BreakerClosed
	case b.clock().Before(b.until):
		return BreakerOpen
	default:
		return BreakerHalfOpen
	}
}

// Get asks the shared cache, or answers ErrOpen at once.
func (b *Breaker) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	err = b.ask(ctx, func() error {
		var err error
		value, found, err = b.shared.Get(ctx, key)
		return err
	})
	return value, found, err
}

// PutIfNewer writes to the shared cache, or drops the value with ErrOpen.
func (b *Breaker) PutIfNewer(ctx context.Context, key string, revision identity.Revision, value []byte, ttl time.Duration) error {
	return b.ask(ctx, func() error { return b.shared.PutIfNewer(ctx, key, revision, value, ttl) })
}

var errUnfinished = errors.New("a call of the shared cache did not return")

func (b *Breaker) ask(ctx context.Context, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err // nothing to learn from
	}
	era, err := b.enter()
	if err != nil {
		return err
	}
	outcome := errUnfinished // what a panic leaves
	defer func() { b.leave(era, outcome) }()
	outcome = call()
	return outcome
}

func (b *Breaker) enter() (era uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakerFailures {
		return b.era, nil
	}
	if b.probing || b.clock().Before(b.until) {
		return 0, ErrOpen
	}
	b.probing = true
	return b.era, nil
}

func (b *Breaker) leave(era uint64, outcome error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era != b.era {
		return
	}
	open := b.failures == breakerFailures
	b.probing = false
	switch {
	case errors.Is(outcome, context.Canceled):
	case outcome == nil && open:
		b.failures = 0
		b.era++
	case outcome == nil:
		b.failures = 0
	case open:
		b.until = b.clock().Add(breakerPause)
	default:
		if b.failures++; b.failures == breakerFailures {
			b.until = b.clock().Add(breakerPause)
			b.era++
		}
	}
}
