package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/store"
	"postern/store/internal/feed"
)

const (
	oldestChanges = `SELECT revision, at FROM changes ORDER BY revision LIMIT $1`
	oldDebits     = `FROM credit_ledger WHERE kind = 'debit' AND released_by IS NULL AND NOT forgotten AND at < $1`
	// What a debit or a release is at work on is left for the next time.
	forgetDebits = `UPDATE credit_ledger SET forgotten = true WHERE id = ANY (ARRAY(
			SELECT id ` + oldDebits + ` ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED
		))`
)

// Prune implements store.Pruner. Mutations and debits need not wait for it.
func (s *Store) Prune(ctx context.Context, p store.Pruning) (bool, error) {
	more, err := transact(ctx, s, s.requests, beginTransaction, func(tx pgx.Tx) (bool, error) {
		changes, err := pruneChanges(ctx, tx, p.Changes)
		if err != nil {
			return false, err
		}
		requests, err := forgetRequests(ctx, tx, p.RequestIDs)
		return changes || requests, err
	})
	return more, failed(ctx, err, "prune")
}

func pruneChanges(ctx context.Context, tx pgx.Tx, before time.Time) (bool, error) {
	// One prunes at a time: pruned_through only grows.
	if _, err := tx.Exec(ctx, selectPruned+` FOR UPDATE`); err != nil {
		return false, err
	}
	oldest, err := readAll(ctx, tx, scanEntry, oldestChanges, feed.PruneLook)
	if err != nil {
		return false, err
	}
	through, more := feed.Prunable(oldest, before)
	if through == 0 {
		return false, nil
	}
	if _, err := tx.Exec(ctx, `UPDATE feed SET pruned_through = $1`, through); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM changes WHERE revision <= $1`, through)
	return more, err
}

func scanEntry(r row) (feed.Entry, error) {
	var e feed.Entry
	err := r.Scan(&e.Revision, (*instant)(&e.At))
	return e, err
}

func forgetRequests(ctx context.Context, tx pgx.Tx, before time.Time) (bool, error) {
	done, err := tx.Exec(ctx, forgetDebits, instant(before), feed.PruneStep)
	if err != nil || done.RowsAffected() < feed.PruneStep {
		return false, err
	}
	var more bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 `+oldDebits+`)`, instant(before)).Scan(&more)
	return more, err
}
