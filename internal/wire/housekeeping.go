package wire

import (
	"context"
	"math/rand/v2"
	"time"

	"postern/store"
)

// What is kept, and how often the rest is taken away. Every replica does it, now
// and then, at a random moment.
const (
	pruneInterval  = 10 * time.Minute
	keepChanges    = 24 * time.Hour
	keepRequestIDs = 24 * time.Hour
	pruneTimeout   = 10 * time.Second
)

// prune takes away what is no longer needed until the context ends.
func (s *Server) prune(ctx context.Context) {
	for {
		wait := pruneInterval/2 + rand.N(pruneInterval) //nolint:gosec // only spreads the replicas
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := s.pruneOnce(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("old records could not be taken away; it is tried again later", "error", err)
		}
	}
}

func (s *Server) pruneOnce(ctx context.Context) error {
	now := time.Now()
	for more := true; more; {
		bounded, cancel := context.WithTimeout(ctx, pruneTimeout)
		var err error
		more, err = s.store.Prune(bounded, store.Pruning{Changes: now.Add(-keepChanges), RequestIDs: now.Add(-keepRequestIDs)})
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
