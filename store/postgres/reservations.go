package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/valid"
)

const (
	// inForce is a request's debit that was neither released nor forgotten.
	inForce = `FROM credit_ledger WHERE org_id = $1 AND request_id = $2
		AND kind = 'debit' AND released_by IS NULL AND NOT forgotten`

	// debit is the whole decision and its entry, in one statement. Debits of one
	// account wait for its row, and see the balance that the one before left. Of
	// two for the same request both may pass NOT EXISTS: then the ledger's unique
	// index refuses the second, whose debit is undone with it. The second bound
	// keeps an overdrawn balance within an integer.
	debit = `WITH debited AS (
			UPDATE credit_accounts SET balance = balance - $3
			WHERE org_id = $1 AND (balance >= $3 OR (pay_as_you_go AND balance >= $4))
			AND NOT EXISTS (SELECT 1 ` + inForce + `)
			RETURNING balance
		) INSERT INTO credit_ledger (org_id, kind, amount, balance_after, key_id, request_id, note, at)
		SELECT $1, 'debit', -$3, balance, $5, $2, $6, $7 FROM debited RETURNING balance_after`

	// standing is what a request that was not debited meets.
	standing = `SELECT balance, pay_as_you_go, EXISTS (SELECT 1 ` + inForce + `) FROM credit_accounts WHERE org_id = $1`

	// A release takes the account before the debit, as a debit does: nobody waits in
	// a circle.
	lockAccount = `SELECT FROM credit_accounts WHERE org_id = $1 FOR UPDATE`
	giveBack    = `WITH charged AS (
			SELECT id, amount, key_id, note ` + inForce + `
		), credited AS (
			UPDATE credit_accounts SET balance = balance - charged.amount FROM charged WHERE org_id = $1 RETURNING balance
		), given AS (
			INSERT INTO credit_ledger (org_id, kind, amount, balance_after, key_id, request_id, note, at)
			SELECT $1, 'release', -amount, balance, key_id, $2, note, $3 FROM charged, credited RETURNING id
		) UPDATE credit_ledger SET released_by = given.id FROM charged, given WHERE credit_ledger.id = charged.id`
)

// errContended says that an account changed again and again while it was looked at.
var errContended = errors.New("the account changes too fast: try again")

// Reserve implements store.Credits. Once the debit is on its way its answer is
// waited for, as long as a statement may take, even if the caller is gone: what
// was charged must be known, so that it can be given back.
func (s *Store) Reserve(ctx context.Context, r store.Reservation) (identity.Credits, bool, error) {
	if err := valid.Reservation(r); err != nil {
		return 0, false, failed(ctx, err, "reserve credits of organization %q", r.Org)
	}
	r.At = s.orNow(r.At)
	balance, charged, err := s.reserve(ctx, r)
	return balance, charged, failed(ctx, err, "reserve credits of organization %q", r.Org)
}

func (s *Store) reserve(ctx context.Context, r store.Reservation) (balance identity.Credits, charged bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for range attempts {
		balance, err := s.debit(ctx, r)
		switch {
		case err == nil:
			return balance, true, nil
		case repeatable(err):
			continue
		case !errors.Is(err, pgx.ErrNoRows) && sqlState(err) != "23505": // unique_violation
			return 0, false, err
		}
		met, err := find(ctx, s, scanStanding, standing, r.Org, r.RequestID)
		switch {
		case err != nil:
			return 0, false, err
		case met.charged:
			return met.balance, false, nil
		case !met.covers(r.Cost):
			return 0, false, store.ErrInsufficient
		}
		// It was released, or the account topped up, since: another try.
	}
	return 0, false, errContended
}

func (s *Store) debit(ctx context.Context, r store.Reservation) (balance identity.Credits, err error) {
	conn, err := s.requests.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err = conn.QueryRow(settle, debit, r.Org, r.RequestID, r.Cost, floor(r.Cost), r.Key, r.Note, instant(r.At)).Scan(&balance)
	s.lost(err)
	return balance, err
}

// account is where a request stands that was not debited.
type account struct {
	balance             identity.Credits
	payAsYouGo, charged bool
}

func scanStanding(r row) (account, error) {
	var a account
	err := r.Scan(&a.balance, &a.payAsYouGo, &a.charged)
	return a, err
}

func (a account) covers(cost identity.Credits) bool {
	return a.balance >= cost || (a.payAsYouGo && a.balance >= floor(cost))
}

// floor is the lowest balance that can bear the cost.
func floor(cost identity.Credits) identity.Credits { return math.MinInt64 + cost }

// Release implements store.Credits.
func (s *Store) Release(ctx context.Context, r store.Reservation) error {
	err := valid.Present("request id", r.RequestID)
	if err == nil {
		_, err = transact(ctx, s, s.requests, beginTransaction, func(tx pgx.Tx) (struct{}, error) {
			return struct{}{}, release(ctx, tx, r, s.now())
		})
	}
	if isNoText(err) {
		return nil // nothing is charged under such a name
	}
	return failed(ctx, err, "release credits of organization %q", r.Org)
}

// release gives back what was charged, whatever the reservation says of the cost.
func release(ctx context.Context, tx pgx.Tx, r store.Reservation, at time.Time) error {
	if _, err := tx.Exec(ctx, lockAccount, r.Org); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, giveBack, r.Org, r.RequestID, at)
	return err
}
