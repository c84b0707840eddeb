package sqlite

import (
	"context"
	"math"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
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
	if err := valid.FeedLimit(limit); err != nil {
		return nil, failed(ctx, err, "read changes")
	}
	after = min(after, math.MaxInt64) // the largest that SQLite counts to
	changes, err := readAll(ctx, s.reads, scanChange, selectChanges, int64(after), limit)
	if err != nil {
		return nil, failed(ctx, err, "read changes after %d", after)
	}
	// Asked for last: whatever was missing above is counted by now.
	var pruned identity.Revision
	err = s.reads.QueryRowContext(ctx, `SELECT pruned_through FROM feed`).Scan(&pruned)
	if err == nil && after < pruned {
		err = store.ErrPruned
	}
	if err != nil {
		return nil, failed(ctx, err, "read changes after %d", after)
	}
	return changes, nil
}

// LatestRevision implements store.Changes.
func (s *Store) LatestRevision(ctx context.Context) (identity.Revision, error) {
	var latest identity.Revision
	err := s.reads.QueryRowContext(ctx, `SELECT coalesce(max(revision), 0) FROM changes`).Scan(&latest)
	return latest, failed(ctx, err, "find the latest revision")
}

// Wake implements store.Changes for the commits of this process.
func (s *Store) Wake() (<-chan struct{}, func()) { return s.wakes.Subscribe() }
