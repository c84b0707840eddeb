package cache

import (
	"context"
	"errors"
	"sync"
	"time"

	"postern/authz/identity"
)

// Writes takes the writes to a shared cache off the path of the requests: a few
// workers, a bounded queue, and what finds no place is dropped.
type Writes struct {
	queue   chan write
	timeout time.Duration
	workers int
}

type write struct {
	to       Shared
	key      string
	revision identity.Revision
	value    []byte
	ttl      time.Duration
	seen     func(Event)
}

// NewWrites makes a queue of the length, whose writes take at most the timeout each.
func NewWrites(workers, length int, timeout time.Duration) *Writes {
	return &Writes{queue: make(chan write, length), timeout: timeout, workers: max(1, workers)}
}

func (w *Writes) add(one write) bool {
	select {
	case w.queue <- one:
		return true
	default:
		return false
	}
}

// Run writes until the context ends; what is queued then is dropped.
func (w *Writes) Run(ctx context.Context) {
	var workers sync.WaitGroup
	for range w.workers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case one := <-w.queue:
					w.do(ctx, one)
				}
			}
		})
	}
	workers.Wait()
}

func (w *Writes) do(ctx context.Context, one write) {
	bounded, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	switch err := one.to.PutIfNewer(bounded, one.key, one.revision, one.value, one.ttl); {
	case errors.Is(err, ErrOpen):
		one.seen(SharedDropped)
	case err != nil && ctx.Err() == nil:
		one.seen(SharedError)
	}
}
