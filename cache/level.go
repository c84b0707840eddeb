package cache

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"postern/authz/identity"
)

// Shared keeps bytes that all replicas see. It may lose them, answer late, or
// bring back old ones: nothing depends on it but speed. Keys and values are any
// bytes, keys are told apart byte for byte, and values have up to 64 KiB; an empty
// value is a value. A context that has ended is an error. cachetest has a test for
// each of these promises.
type Shared interface {
	// Get returns a key's value. An error means that it could not be asked; that
	// there is none is no error.
	Get(ctx context.Context, key string) (value []byte, found bool, err error)
	// PutIfNewer keeps the value for the time to live, which must be over 0, unless
	// the key holds one of a larger revision; then it does nothing. One key, one step.
	PutIfNewer(ctx context.Context, key string, revision identity.Revision, value []byte, ttl time.Duration) error
}

// Event is what became of a look-up in, or a write to, the shared cache.
type Event string

// The events.
const (
	SharedHit     Event = "hit"
	SharedMiss    Event = "miss"
	SharedStale   Event = "stale"    // older than what this replica knows to have changed
	SharedForeign Event = "rejected" // not written by a replica of this store, or altered
	SharedError   Event = "error"
	SharedDropped Event = "dropped" // a write that had no place in the queue, or was not tried after failures
)

// Entry is a value and what it was loaded under.
type Entry[V any] struct {
	Value V
	// AsOf is a revision whose changes the load is known to have seen.
	AsOf identity.Revision
	// LoadedAt is when the load began, by the loader's clock.
	LoadedAt time.Time
}

// Level is a tier's view of the shared cache.
type Level[K comparable, V any] struct {
	// Shared keeps the bytes; Writes does the writing.
	Shared Shared
	Writes *Writes
	// Prefix begins every key: the store's own name and the kind of record.
	Prefix string
	// KeyText is a key's text; it is no secret.
	KeyText func(K) string
	// Subjects are the records a value was made from.
	Subjects func(K, V) []Subject
	History  *History
	// Secret authenticates what replicas of this store wrote.
	Secret []byte
	TTL    time.Duration
	// Timeout bounds a look-up; the store is asked after it.
	Timeout time.Duration
	Clock   func() time.Time
	// Seen, where set, is told of every event.
	Seen func(Event)
}

// wireVersion is the first byte of a value; another version is a miss.
const wireVersion = 1

type envelope[V any] struct {
	AsOf     identity.Revision `json:"r"`
	LoadedAt int64             `json:"t"` // Unix milliseconds
	Value    *V                `json:"v"` // nil: a tombstone
}

// get finds a value that may still be believed.
func (l *Level[K, V]) get(ctx context.Context, key K, now time.Time) (Entry[V], bool) {
	text := l.Prefix + l.KeyText(key)
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	sealed, found, err := l.Shared.Get(ctx, text)
	switch {
	case err != nil:
		return l.no(SharedError)
	case !found:
		return l.no(SharedMiss)
	}
	var e envelope[V]
	if plain, err := l.open(text, sealed); err != nil || json.Unmarshal(plain, &e) != nil {
		return l.no(SharedForeign)
	}
	loaded := time.UnixMilli(e.LoadedAt)
	switch {
	case e.Value == nil:
		return l.no(SharedMiss)
	case !now.Before(loaded.Add(l.TTL)) || loaded.After(now.Add(l.TTL)):
		return l.no(SharedStale)
	case !l.History.Believes(e.AsOf, l.Subjects(key, *e.Value)...):
		return l.no(SharedStale)
	}
	l.seen(SharedHit)
	return Entry[V]{Value: *e.Value, AsOf: e.AsOf, LoadedAt: loaded}, true
}

func (l *Level[K, V]) no(why Event) (Entry[V], bool) {
	l.seen(why)
	return Entry[V]{}, false
}

// put shares a loaded value, later and if there is room.
func (l *Level[K, V]) put(key K, e Entry[V]) {
	l.write(key, envelope[V]{AsOf: e.AsOf, LoadedAt: e.LoadedAt.UnixMilli(), Value: &e.Value})
}

// Bury overwrites a key's value with a tombstone of the revision, so that no
// replica loads it in vain. Safety does not rest on it: History refuses the value
// anyway.
func (l *Level[K, V]) Bury(key K, revision identity.Revision) {
	l.write(key, envelope[V]{AsOf: revision, LoadedAt: l.Clock().UnixMilli()})
}

func (l *Level[K, V]) write(key K, e envelope[V]) {
	plain, err := json.Marshal(e)
	if err != nil {
		l.seen(SharedError)
		return
	}
	text := l.Prefix + l.KeyText(key)
	if !l.Writes.add(write{l.Shared, text, e.AsOf, l.seal(text, plain), l.TTL, l.seen}) {
		l.seen(SharedDropped)
	}
}

func (l *Level[K, V]) seen(e Event) {
	if l.Seen != nil {
		l.Seen(e)
	}
}

// seal binds a value to its key and to this store: version, HMAC, value.
func (l *Level[K, V]) seal(key string, plain []byte) []byte {
	sealed := make([]byte, 0, 1+sha256.Size+len(plain))
	sealed = append(sealed, wireVersion)
	sealed = append(sealed, l.tag(key, plain)...)
	return append(sealed, plain...)
}

var errForeign = errors.New("not written by a replica of this store")

func (l *Level[K, V]) open(key string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+sha256.Size || sealed[0] != wireVersion {
		return nil, errForeign
	}
	tag, plain := sealed[1:1+sha256.Size], sealed[1+sha256.Size:]
	if !hmac.Equal(tag, l.tag(key, plain)) {
		return nil, errForeign
	}
	return plain, nil
}

func (l *Level[K, V]) tag(key string, plain []byte) []byte {
	mac := hmac.New(sha256.New, l.Secret)
	mac.Write([]byte{wireVersion})
	mac.Write([]byte(key))
	mac.Write([]byte{0})
	mac.Write(plain)
	return mac.Sum(nil)
}
