package sqlite

import (
	"context"
	"fmt"
	"math"
	"sync"

	"postern/authz/identity"
	"postern/store"
)

const selectChanges = `SELECT revision, kind, org_id, user_id, key_id, digest, token_issuer, token_id, resource_id, at
	FROM changes WHERE revision > ? ORDER BY revision LIMIT ?`

func scanChange(r row) (store.Change, error) {
	var c store.Change
	err := r.Scan(&c.Revision, &c.Kind, &c.Org, &c.User, &c.Key, (*digest)(&c.Digest),
		&c.Token.Issuer, &c.Token.ID, &c.Resource, (*instant)(&c.At))
	return c, err
}

// ChangesAfter implements store.Changes. Writers take turns, so that revisions
// are committed in their order and a reader never skips one.
func (s *Store) ChangesAfter(ctx context.Context, after identity.Revision, limit int) ([]store.Change, error) {
	if limit < 1 {
		err := fmt.Errorf("%w: limit is %d: give at least 1", store.ErrInvalid, limit)
		return nil, failed(ctx, err, "read changes")
	}
	after = min(after, math.MaxInt64) // the largest that SQLite counts to
	changes, err := readAll(ctx, s.reads, scanChange, selectChanges, int64(after), limit)
	return changes, failed(ctx, err, "read changes after %d", after)
}

// LatestRevision implements store.Changes.
func (s *Store) LatestRevision(ctx context.Context) (identity.Revision, error) {
	var latest identity.Revision
	err := s.reads.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) FROM changes`).Scan(&latest)
	return latest, failed(ctx, err, "find the latest revision")
}

// Wake implements store.Changes for the commits of this process.
func (s *Store) Wake() (<-chan struct{}, func()) { return s.wakes.subscribe() }

// subscribers are the channels to wake. The zero value is ready.
type subscribers struct {
	mu       sync.Mutex
	channels map[chan struct{}]struct{}
}

func (s *subscribers) subscribe() (<-chan struct{}, func()) {
	// Room for one: a wake-up that is still waiting stands for all later ones.
	channel := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.channels == nil {
		s.channels = make(map[chan struct{}]struct{})
	}
	s.channels[channel] = struct{}{}
	return channel, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.channels, channel)
	}
}

func (s *subscribers) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel := range s.channels {
		select {
		case channel <- struct{}{}:
		default:
		}
	}
}
