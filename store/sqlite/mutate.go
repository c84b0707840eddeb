package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
)

// row is a *sql.Row or *sql.Rows.
type row interface{ Scan(into ...any) error }

// mutation is an open write transaction with the records it must leave behind.
type mutation struct {
	*transaction
	by      store.Actor
	at      time.Time
	changed bool
}

// event is what the audit log says of a mutation, beside who and when.
type event struct {
	action  string
	subject string
	org     identity.OrgID
	detail  detail
}

// mutate runs one mutation: all that run writes is committed together, or none
// of it. A run that changes nothing calls neither record nor change.
func mutate[T any](ctx context.Context, s *Store, by store.Actor, run func(tx *mutation) (T, error)) (T, error) {
	var changed bool
	if err := valid.Text("actor", string(by)); err != nil {
		var none T
		return none, err
	}
	result, err := transact(ctx, s.writes, func(tx *transaction) (T, error) {
		m := &mutation{transaction: tx, by: by, at: s.now()}
		result, err := run(m)
		changed = m.changed
		return result, err
	})
	if err == nil && changed {
		s.wakes.Wake()
	}
	return result, err
}

// transact commits what run did if it succeeds.
func transact[T any](ctx context.Context, pool *prepared, run func(tx *transaction) (T, error)) (T, error) {
	var none T
	begun, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return none, err
	}
	tx := &transaction{Tx: begun, pool: pool}
	defer tx.ended(ctx)
	result, err := run(tx)
	if err != nil {
		if undo := tx.Rollback(); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			err = errors.Join(err, undo)
		}
		return none, err
	}
	if err := tx.Commit(); err != nil {
		return none, err
	}
	return result, nil
}

// record writes the mutation's change and its audit event, and returns the
// revision for the row.
func (tx *mutation) record(ctx context.Context, e event, c store.Change) (identity.Revision, error) {
	revision, err := tx.change(ctx, c)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit_events (revision, at, actor, action, subject, org_id, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, revision, instant(tx.at), tx.by, e.action, e.subject, e.org, e.detail)
	return revision, err
}

// change writes an entry of the feed. A mutation that touches several records
// calls it for each beyond the first.
func (tx *mutation) change(ctx context.Context, c store.Change) (identity.Revision, error) {
	tx.changed = true
	result, err := tx.ExecContext(ctx, `INSERT INTO changes
		(kind, org_id, user_id, key_id, digest, token_issuer, token_id, resource_id, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.Kind, c.Org, c.User, c.Key, digest(c.Digest), c.Token.Issuer, c.Token.ID, c.Resource, instant(tx.at))
	if err != nil {
		return 0, err
	}
	id, err := result.LastInsertId()
	return identity.Revision(id), err
}
