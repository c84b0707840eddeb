package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
)

const (
	// inForce is a request's debit that was neither released nor forgotten.
	inForce = `FROM credit_ledger WHERE org_id = ?1 AND request_id = ?2 
		AND kind = 'debit' AND released_by IS NULL AND NOT forgotten`

	// debitAccount is the whole decision. The second bound keeps an overdrawn balance
	// within an integer.
	debitAccount = `UPDATE credit_accounts SET balance = balance - ?3
		WHERE org_id = ?1 AND (balance >= ?3 OR (pay_as_you_go AND balance >= ?4))
		AND NOT EXISTS (SELECT 1 ` + inForce + `)
		RETURNING balance`
	creditAccount = `UPDATE credit_accounts SET balance = balance + ? WHERE org_id = ? RETURNING balance`
)

// outcome is the answer to a reservation that was not refused.
type outcome struct {
	balance identity.Credits
	charged bool
}

// Reserve implements store.Credits.
func (s *Store) Reserve(ctx context.Context, r store.Reservation) (identity.Credits, bool, error) {
	if err := valid.Reservation(r); err != nil {
		return 0, false, failed(ctx, err, "reserve credits of organization %q", r.Org)
	}
	r.At = s.orNow(r.At)
	done, err := s.charge(ctx, r)
	return done.balance, done.charged, failed(ctx, err, "reserve credits of organization %q", r.Org)
}

func reserve(ctx context.Context, tx *transaction, r store.Reservation) (outcome, error) {
	var balance identity.Credits
	floor := math.MinInt64 + int64(r.Cost)
	err := tx.QueryRowContext(ctx, debitAccount, r.Org, r.RequestID, r.Cost, floor).Scan(&balance)
	if errors.Is(err, sql.ErrNoRows) {
		return notDebited(ctx, tx, r)
	}
	if err != nil {
		return outcome{}, err
	}
	_, err = addEntry(ctx, tx, store.LedgerEntry{
		Org: r.Org, Kind: store.LedgerDebit, Amount: -r.Cost, BalanceAfter: balance,
		Key: r.Key, RequestID: r.RequestID, Note: r.Note, At: r.At,
	})
	return outcome{balance: balance, charged: true}, err
}

// notDebited finds out why the debit found no account to change.
func notDebited(ctx context.Context, tx *transaction, r store.Reservation) (outcome, error) {
	account, err := scanAccount(tx.QueryRowContext(ctx, selectAccount, r.Org))
	if err != nil {
		return outcome{}, err
	}
	var before bool
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 `+inForce+`)`, r.Org, r.RequestID).Scan(&before)
	if err != nil {
		return outcome{}, err
	}
	if !before {
		return outcome{}, store.ErrInsufficient
	}
	return outcome{balance: account.Balance}, nil
}

// Release implements store.Credits.
func (s *Store) Release(ctx context.Context, r store.Reservation) error {
	err := valid.Present("request id", r.RequestID)
	if err == nil {
		_, err = transact(ctx, s.writes, func(tx *transaction) (bool, error) { return release(ctx, tx, r, s.now()) })
	}
	return failed(ctx, err, "release credits of organization %q", r.Org)
}

// release gives back what was charged, whatever the reservation says of the
// cost, and reports whether there was anything to give back.
func release(ctx context.Context, tx *transaction, r store.Reservation, at time.Time) (bool, error) {
	charged, err := scanLedgerEntry(tx.QueryRowContext(ctx, `SELECT `+ledgerColumns+` `+inForce, r.Org, r.RequestID))
	if errors.Is(err, sql.ErrNoRows) {
		return false, ctx.Err()
	}
	if err != nil {
		return false, err
	}
	var balance identity.Credits
	if err := tx.QueryRowContext(ctx, creditAccount, -charged.Amount, r.Org).Scan(&balance); err != nil {
		return false, err
	}
	given, err := addEntry(ctx, tx, store.LedgerEntry{
		Org: r.Org, Kind: store.LedgerRelease, Amount: -charged.Amount, BalanceAfter: balance,
		Key: charged.Key, RequestID: r.RequestID, Note: charged.Note, At: at,
	})
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE credit_ledger SET released_by = ? WHERE id = ?`, given.ID, charged.ID)
	return true, err
}
