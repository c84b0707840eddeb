package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
)

// attempts bounds how often a transaction is tried that the server gives up for
// the sake of another.
const attempts = 3

const (
	beginTransaction = `begin isolation level read committed`

	// beginMutation makes mutations of all servers take turns, from before the first
	// takes its revision until after its commit. So revisions are committed in their
	// order, and whoever has seen one never meets a smaller one later: a feed that
	// only took numbers from a sequence would let a reader skip those that were
	// still uncommitted. It also lets a mutation read before it writes, with nobody
	// in between. Debits, the one write that is frequent, do not take it.
	beginMutation = beginTransaction + `; select pg_advisory_xact_lock(5787222183502197)`

	// beginUnflushed is for what may be lost in a crash.
	beginUnflushed = beginTransaction + `; set local synchronous_commit = off`
)

// row is a pgx.Row or pgx.Rows.
type row interface{ Scan(into ...any) error }

// mutation is an open transaction with the records it must leave behind.
type mutation struct {
	pgx.Tx
	by store.Actor
	at time.Time
}

// event is what the audit log says of a mutation, beside who and when.
type event struct {
	action  string
	subject string
	org     identity.OrgID
	detail  detail
}

// mutate runs one mutation: all that run writes is committed together, or none
// of it. A run that changes nothing calls neither record nor change. It may run
// more than once.
func mutate[T any](ctx context.Context, s *Store, by store.Actor, run func(tx *mutation) (T, error)) (T, error) {
	if err := valid.Text("actor", string(by)); err != nil {
		var none T
		return none, err
	}
	return transact(ctx, s, s.mutations, beginMutation, func(tx pgx.Tx) (T, error) {
		return run(&mutation{Tx: tx, by: by, at: s.now()})
	})
}

// transact commits what run did if it succeeds.
func transact[T any](ctx context.Context, s *Store, pool *pgxpool.Pool, begin string, run func(tx pgx.Tx) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		result, begun, err := transactOnce(ctx, pool, begin, run)
		// What had not begun has done nothing yet, and may be done elsewhere.
		again := s.lost(err) && !begun || repeatable(err)
		if err == nil || !again || attempt == attempts || ctx.Err() != nil {
			return result, err
		}
	}
}

func transactOnce[T any](ctx context.Context, pool *pgxpool.Pool, begin string, run func(tx pgx.Tx) (T, error)) (result T, begun bool, err error) {
	var none T
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: begin})
	if err != nil {
		return none, false, err
	}
	// The end is waited for even if the caller is gone: it must be known.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	result, err = run(tx)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if undo := tx.Rollback(settle); undo != nil && !errors.Is(undo, pgx.ErrTxClosed) && ctx.Err() == nil {
			err = errors.Join(err, undo)
		}
		return none, true, err
	}
	if err := tx.Commit(settle); err != nil {
		return none, true, err
	}
	// A server that waits for a standby ends the wait when it is told to, and calls
	// that a commit.
	if err := settle.Err(); err != nil {
		return none, true, fmt.Errorf("commit: %w", err)
	}
	return result, true, nil
}

const (
	insertChange = `INSERT INTO changes (kind, org_id, user_id, key_id, digest, token_issuer, token_id, resource_id, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING revision`
	// What waits for changes is told of one with the commit, never before.
	notifyChange = `SELECT revision FROM change, pg_notify('` + changesChannel + `', '')`
)

// record writes the mutation's change and its audit event, and returns the
// revision for the row.
func (tx *mutation) record(ctx context.Context, e event, c store.Change) (identity.Revision, error) {
	return scanRevision(tx.QueryRow(ctx, `WITH change AS (`+insertChange+`), event AS (
			INSERT INTO audit_events (revision, at, actor, action, subject, org_id, detail)
			SELECT revision, $9, $10, $11, $12, $13, $14 FROM change
		) `+notifyChange, append(changeArgs(c, tx.at), tx.by, e.action, e.subject, e.org, e.detail.given())...))
}

// change writes an entry of the feed. A mutation that touches several records
// calls it for each beyond the first.
func (tx *mutation) change(ctx context.Context, c store.Change) (identity.Revision, error) {
	return scanRevision(tx.QueryRow(ctx, `WITH change AS (`+insertChange+`) `+notifyChange, changeArgs(c, tx.at)...))
}

func changeArgs(c store.Change, at time.Time) []any {
	return []any{c.Kind, c.Org, c.User, c.Key, digest(c.Digest), c.Token.Issuer, c.Token.ID, c.Resource, at}
}

func scanRevision(r row) (identity.Revision, error) {
	var revision identity.Revision
	err := r.Scan(&revision)
	return revision, err
}
