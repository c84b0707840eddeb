// Package memory is a shared cache within one process: for tests, and to measure
// the others by. It knows bytes, keys and revisions, and drops values to stay within
// its bound.
package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"postern/authz/identity"
)

// Cache is a shared cache. It is safe for concurrent use.
type Cache struct {
	size  int
	clock func() time.Time

	mu     sync.Mutex
	values map[string]entry
}

type entry struct {
	revision identity.Revision
	value    []byte
	expires  time.Time
}

// New makes a cache of at most size values.
func New(size int, clock func() time.Time) (*Cache, error) {
	if size <= 0 || clock == nil {
		return nil, errors.New("memory: a cache needs a size over 0 and a clock")
	}
	return &Cache{size: size, clock: clock, values: map[string]entry{}}, nil
}

// Get returns a copy of a key's value.
func (c *Cache) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("memory: look up a value: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.held(key)
	return slices.Clone(e.value), found, nil
}

// PutIfNewer keeps a copy of the value, unless the key holds one of a larger revision.
func (c *Cache) PutIfNewer(ctx context.Context, key string, revision identity.Revision, value []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return fmt.Errorf("memory: write a value: its time to live is %v; it must be over 0", ttl)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("memory: write a value: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.held(key)
	if found && e.revision > revision {
		return nil
	}
	if !found && len(c.values) >= c.size {
		c.dropOne()
	}
	c.values[key] = entry{revision, slices.Clone(value), c.clock().Add(ttl)}
	return nil
}

// held returns what has not ended; what has is dropped.
func (c *Cache) held(key string) (entry, bool) {
	e, found := c.values[key]
	if found && !c.clock().Before(e.expires) {
		delete(c.values, key)
		return entry{}, false
	}
	return e, found
}

// dropOne drops, of a few values at random, the one that ends first: a sample is
// enough to prefer what has ended, without looking at all of them.
func (c *Cache) dropOne() {
	const sample = 16
	var victim string
	seen := 0
	for key, e := range c.values { // in random order
		if seen == 0 || e.expires.Before(c.values[victim].expires) {
			victim = key
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(c.values, victim)
}
