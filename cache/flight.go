package cache

import (
	"fmt"
	"sync"

	"postern/authz"
)

// flights share one load between callers that ask for the same key in the same
// generation. A caller that comes after an invalidation never joins an older load.
type flights[K comparable, V any] struct {
	mu    *sync.Mutex
	under map[flightKey[K]]*flight[V]
}

type flightKey[K comparable] struct {
	key        K
	generation uint64
}

type flight[V any] struct {
	done   chan struct{}
	late   chan struct{} // closed where the answer will come, but too late for who waits
	leave  func()        // closes late
	result result[V]     // set before done is closed
}

type result[V any] struct {
	value    V
	presence authz.Presence
	err      error
}

func newFlights[K comparable, V any]() flights[K, V] {
	return flights[K, V]{mu: &sync.Mutex{}, under: map[flightKey[K]]*flight[V]{}}
}

// join starts the load, or returns the one under way.
func (f flights[K, V]) join(key flightKey[K], load func(*flight[V]) result[V]) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if under, ok := f.under[key]; ok {
		return under
	}
	started := &flight[V]{done: make(chan struct{}), late: make(chan struct{})}
	started.leave = sync.OnceFunc(func() { close(started.late) })
	f.under[key] = started
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				started.result = result[V]{presence: authz.Unavailable, err: fmt.Errorf("a load panicked: %v", cause)}
			}
			f.mu.Lock()
			delete(f.under, key)
			f.mu.Unlock()
			close(started.done)
		}()
		started.result = load(started)
	}()
	return started
}
