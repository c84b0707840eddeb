package sqlite

import (
	"context"
	"time"

	"postern/store"
	"postern/store/internal/feed"
)

const (
	oldestChanges = `SELECT revision, at FROM changes ORDER BY revision LIMIT ?`
	oldDebits     = `FROM credit_ledger WHERE kind = 'debit' AND released_by IS NULL AND NOT forgotten AND at < ?1`
)

// Prune implements store.Pruner.
func (s *Store) Prune(ctx context.Context, p store.Pruning) (bool, error) {
	more, err := transact(ctx, s.writes, func(tx *transaction) (bool, error) {
		changes, err := pruneChanges(ctx, tx, p.Changes)
		if err != nil {
			return false, err
		}
		requests, err := forgetRequests(ctx, tx, p.RequestIDs)
		return changes || requests, err
	})
	return more, failed(ctx, err, "prune")
}

func pruneChanges(ctx context.Context, tx *transaction, before time.Time) (bool, error) {
	oldest, err := readAll(ctx, tx, scanEntry, oldestChanges, feed.PruneLook)
	if err != nil {
		return false, err
	}
	through, more := feed.Prunable(oldest, before)
	if through == 0 {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE feed SET pruned_through = ?`, through); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM changes WHERE revision <= ?`, through)
	return more, err
}

func scanEntry(r row) (feed.Entry, error) {
	var e feed.Entry
	err := r.Scan(&e.Revision, (*instant)(&e.At))
	return e, err
}

func forgetRequests(ctx context.Context, tx *transaction, before time.Time) (bool, error) {
	_, err := tx.ExecContext(ctx, `UPDATE credit_ledger SET forgotten = TRUE WHERE id IN (SELECT id `+oldDebits+` ORDER BY at LIMIT ?2)`,
		instant(before), feed.PruneStep)
	if err != nil {
		return false, err
	}
	var more bool
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 `+oldDebits+`)`, instant(before)).Scan(&more)
	return more, err
}
