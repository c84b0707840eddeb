package postgres

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
)

const (
	selectChanges = `SELECT revision, kind, org_id, user_id, key_id, digest, token_issuer, token_id, resource_id, at
		FROM changes WHERE revision > $1 ORDER BY revision LIMIT $2`
	selectPruned = `SELECT pruned_through FROM feed`
	selectLatest = `SELECT coalesce(max(revision), 0) FROM changes`
)

func scanChange(r row) (store.Change, error) {
	var c store.Change
	err := r.Scan(&c.Revision, &c.Kind, &c.Org, &c.User, &c.Key, (*digest)(&c.Digest),
		&c.Token.Issuer, &c.Token.ID, &c.Resource, (*instant)(&c.At))
	return c, err
}

// ChangesAfter implements store.Changes. Mutations take turns, so that revisions
// are committed in their order and a reader never skips one.
func (s *Store) ChangesAfter(ctx context.Context, after identity.Revision, limit int) ([]store.Change, error) {
	if err := valid.FeedLimit(limit); err != nil {
		return nil, failed(ctx, err, "read changes")
	}
	after = min(after, math.MaxInt64) // the largest that PostgreSQL counts to
	changes, err := ask(ctx, s, func(ctx context.Context) ([]store.Change, error) {
		return s.changesAfter(ctx, after, limit)
	})
	return changes, failed(ctx, err, "read changes after %d", after)
}

func (s *Store) changesAfter(ctx context.Context, after identity.Revision, limit int) ([]store.Change, error) {
	questions := &pgx.Batch{}
	questions.Queue(selectChanges, after, limit)
	questions.Queue(selectPruned) // asked for last: whatever was missing above is counted by now
	answers := s.requests.SendBatch(ctx, questions)
	changes, pruned, err := scanFeed(answers)
	if closing := answers.Close(); err == nil {
		err = closing
	}
	if err == nil && after < pruned {
		err = store.ErrPruned
	}
	if err != nil {
		return nil, err
	}
	return changes, nil
}

func scanFeed(answers pgx.BatchResults) ([]store.Change, identity.Revision, error) {
	rows, err := answers.Query()
	if err != nil {
		return nil, 0, err
	}
	changes, err := scanAll(rows, scanChange)
	if err != nil {
		return nil, 0, err
	}
	pruned, err := scanRevision(answers.QueryRow())
	return changes, pruned, err
}

// LatestRevision implements store.Changes.
func (s *Store) LatestRevision(ctx context.Context) (identity.Revision, error) {
	latest, err := find(ctx, s, scanRevision, selectLatest)
	return latest, failed(ctx, err, "find the latest revision")
}

// Wake implements store.Changes for the commits of all servers.
func (s *Store) Wake() (<-chan struct{}, func()) { return s.wakes.Subscribe() }
