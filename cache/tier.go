package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"postern/authz"
	"postern/authz/admission"
	"postern/authz/identity"
)

// MaxTTL bounds how long a record may be believed without asking again.
const MaxTTL = 10 * time.Second

// loadTimeout caps a shared load: it is detached from its callers, and must not
// wedge them all.
const loadTimeout = 2 * time.Second

// Options are the bounds of a tier.
type Options struct {
	// TTL is the absolute life of an entry, never refreshed by use: over 0, at most MaxTTL.
	TTL time.Duration
	// NegativeTTL is the life of "there is no such record"; 0 means TTL.
	NegativeTTL time.Duration
	// Size bounds the records, NegativeSize the absences; they never displace
	// each other, so a flood of unknown keys costs no known one its place.
	Size, NegativeSize int
	// Loads bounds the loads under way at once, those that wait included; a further
	// one is Busy at once. How many ask the store is for an admission.Limiter in the
	// fetch, which finds in its context whose load it is.
	Loads int
	// Clock tells the time; required.
	Clock func() time.Time
}

// Tier is the in-process cache of one family of records. Values are shared: they
// must not be changed once handed out. It is safe for concurrent use.
type Tier[K comparable, V any] struct {
	options Options
	fence   *Fence
	found   *otter.Cache[K, entry[V]]
	absent  *otter.Cache[K, entry[struct{}]]
	flights flights[K, V]
	loads   chan struct{}
	level   *Level[K, V]             // nil: nothing is shared
	applied func() identity.Revision // nil with level
}

type entry[V any] struct {
	value   V
	loaded  int64 // Unix nanoseconds: when the load began
	expires int64 // Unix nanoseconds
}

// NewTier makes an empty tier behind the fence.
func NewTier[K comparable, V any](fence *Fence, options Options) (*Tier[K, V], error) {
	if options.NegativeTTL == 0 {
		options.NegativeTTL = options.TTL
	}
	switch {
	case fence == nil || options.Clock == nil:
		return nil, errors.New("cache: a fence and a clock are required")
	case options.TTL <= 0 || options.TTL > MaxTTL:
		return nil, fmt.Errorf("cache: ttl is %v; it must be over 0 and at most %v, or a revoked credential could live longer than promised", options.TTL, MaxTTL)
	case options.NegativeTTL < 0 || options.NegativeTTL > MaxTTL:
		return nil, fmt.Errorf("cache: negative ttl is %v; it must be over 0 and at most %v", options.NegativeTTL, MaxTTL)
	case options.Size <= 0 || options.NegativeSize <= 0 || options.Loads <= 0:
		return nil, errors.New("cache: size, negative size and loads must be over 0")
	}
	found, err := otter.New(&otter.Options[K, entry[V]]{MaximumSize: options.Size})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	absent, err := otter.New(&otter.Options[K, entry[struct{}]]{MaximumSize: options.NegativeSize})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &Tier[K, V]{
		options: options, fence: fence, found: found, absent: absent,
		flights: newFlights[K, V](), loads: make(chan struct{}, options.Loads),
	}, nil
}

// Cached never blocks: Found, Absent or Unknown. Nothing is known once the lease
// has ended.
func (t *Tier[K, V]) Cached(key K, now time.Time) (V, authz.Presence) {
	var none V
	if !t.fence.Trusted(now) {
		return none, authz.Unknown
	}
	at := now.UnixNano()
	if e, ok := t.found.GetIfPresent(key); ok && at < e.expires {
		return e.value, authz.Found
	}
	if e, ok := t.absent.GetIfPresent(key); ok && at < e.expires {
		return none, authz.Absent
	}
	return none, authz.Unknown
}

// Fetch asks what is behind the cache: Found, Absent, or Unavailable or Busy with
// the cause.
type Fetch[V any] func(ctx context.Context) (V, authz.Presence, error)

// Load fetches what Cached does not know, once for all callers that ask at the
// same time, and keeps the answer unless an invalidation came meanwhile. What
// would come too late is Busy at once, and still kept when it comes.
func (t *Tier[K, V]) Load(ctx context.Context, key K, fetch Fetch[V]) (V, authz.Presence, error) {
	generation := t.fence.Generation()
	flight := t.flights.join(flightKey[K]{key, generation}, func(f *flight[V]) result[V] {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return t.load(t.work(ctx, key, f.leave).On(detached), key, generation, fetch)
	})
	select {
	case <-flight.done:
		return flight.result.value, flight.result.presence, flight.result.err
	case <-flight.late:
		var none V
		return none, authz.Busy, errLate
	case <-ctx.Done():
		var none V
		return none, authz.Unavailable, fmt.Errorf("waiting for a record: %w", ctx.Err())
	}
}

// The causes of Busy.
var (
	errLoads = errors.New("too many records are being loaded")
	errLate  = errors.New("the record is being loaded, and expected too late")
)

// anyAge is older than any entry.
const anyAge = 1000 * time.Hour

// work says for whom a load is: what this replica knew to exist goes first, and
// the caller that began it needs its answer before its deadline.
func (t *Tier[K, V]) work(caller context.Context, key K, late func()) admission.Work {
	w := admission.Work{Class: admission.Unseen, Late: late}
	if deadline, ok := caller.Deadline(); ok {
		w.Deadline = deadline
	}
	if _, presence := t.Stale(key, t.options.Clock(), anyAge); presence == authz.Found {
		w.Class = admission.Known
	}
	return w
}

func (t *Tier[K, V]) load(ctx context.Context, key K, generation uint64, fetch Fetch[V]) result[V] {
	select {
	case t.loads <- struct{}{}:
		defer func() { <-t.loads }()
	default:
		return result[V]{presence: authz.Busy, err: errLoads}
	}
	began := t.options.Clock()
	if t.level != nil && t.fence.Trusted(began) { // without the feed nobody can tell what it still says
		if e, ok := t.level.get(ctx, key, began); ok {
			t.fence.admit(generation, func() { t.keep(key, e.Value, e.LoadedAt) })
			return result[V]{value: e.Value, presence: authz.Found}
		}
	}
	var asOf identity.Revision
	if t.applied != nil {
		asOf = t.applied() // before the store is read, which then has seen at least this
	}
	value, presence, err := fetch(ctx)
	switch presence {
	case authz.Found:
		t.fence.admit(generation, func() { t.keep(key, value, began) })
		if t.level != nil {
			t.level.put(key, Entry[V]{Value: value, AsOf: asOf, LoadedAt: began})
		}
	case authz.Absent:
		t.fence.admit(generation, func() {
			t.absent.Set(key, entry[struct{}]{loaded: began.UnixNano(), expires: began.Add(t.options.NegativeTTL).UnixNano()})
			t.found.Invalidate(key)
		})
	}
	return result[V]{value, presence, err}
}

func (t *Tier[K, V]) keep(key K, value V, loaded time.Time) {
	t.found.Set(key, entry[V]{value, loaded.UnixNano(), loaded.Add(t.options.TTL).UnixNano()})
	t.absent.Invalidate(key)
}

// Share puts a shared cache between the tier and what it loads from. applied is
// the revision up to which this replica has read the feed. Call it before use.
func (t *Tier[K, V]) Share(level *Level[K, V], applied func() identity.Revision) {
	t.level, t.applied = level, applied
}

// Bury overwrites a key's shared value with a tombstone, where anything is shared.
func (t *Tier[K, V]) Bury(key K, revision identity.Revision) {
	if t.level != nil {
		t.level.Bury(key, revision)
	}
}

// Stale answers from what was loaded within the age, though its life or the lease
// has ended: Found, Absent or Unknown. What an invalidation removed is gone here too.
func (t *Tier[K, V]) Stale(key K, now time.Time, age time.Duration) (V, authz.Presence) {
	oldest := now.UnixNano() - int64(age)
	if e, ok := t.found.GetIfPresent(key); ok && e.loaded > oldest {
		return e.value, authz.Found
	}
	var none V
	if e, ok := t.absent.GetIfPresent(key); ok && e.loaded > oldest {
		return none, authz.Absent
	}
	return none, authz.Unknown
}

// Forget removes one key. Call it within Fence.Invalidate.
func (t *Tier[K, V]) Forget(key K) {
	t.found.Invalidate(key)
	t.absent.Invalidate(key)
}

// ForgetWhere removes the records that match; absences stay. It looks at every
// entry. Call it within Fence.Invalidate.
func (t *Tier[K, V]) ForgetWhere(match func(key K, value V) bool) {
	for key, e := range t.found.All() {
		if match(key, e.value) {
			t.found.Invalidate(key)
		}
	}
}

// ForgetAbsent removes every absence: something new exists, and nobody can tell
// under which key it was missed. Call it within Fence.Invalidate.
func (t *Tier[K, V]) ForgetAbsent() { t.absent.InvalidateAll() }

// ForgetAll empties the tier. Call it within Fence.Invalidate.
func (t *Tier[K, V]) ForgetAll() {
	t.found.InvalidateAll()
	t.absent.InvalidateAll()
}

// Len is about how many records and absences are kept.
func (t *Tier[K, V]) Len() (found, absent int) {
	return t.found.EstimatedSize(), t.absent.EstimatedSize()
}
