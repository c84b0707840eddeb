package sqlite

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/cursor"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

const (
	accountColumns = `org_id, balance, pay_as_you_go`
	selectAccount  = `SELECT ` + accountColumns + ` FROM credit_accounts WHERE org_id = ?`
	ledgerColumns  = `id, org_id, kind, amount, balance_after, key_id, coalesce(request_id, ''), note, at`
	insertLedger   = `INSERT INTO credit_ledger (org_id, kind, amount, balance_after, key_id, request_id, note, at)
		VALUES (?, ?, ?, ?, ?, nullif(?, ''), ?, ?) RETURNING ` + ledgerColumns
)

func scanAccount(r row) (store.Account, error) {
	var a store.Account
	err := r.Scan(&a.Org, &a.Balance, &a.PayAsYouGo)
	return a, err
}

func scanLedgerEntry(r row) (store.LedgerEntry, error) {
	var e store.LedgerEntry
	err := r.Scan(&e.ID, &e.Org, &e.Kind, &e.Amount, &e.BalanceAfter, &e.Key, &e.RequestID, &e.Note, (*instant)(&e.At))
	return e, err
}

// addEntry writes a movement into the ledger.
func addEntry(ctx context.Context, tx *transaction, e store.LedgerEntry) (store.LedgerEntry, error) {
	return scanLedgerEntry(tx.QueryRowContext(ctx, insertLedger,
		e.Org, e.Kind, e.Amount, e.BalanceAfter, e.Key, e.RequestID, e.Note, instant(e.At)))
}

// TopUp implements store.Credits.
func (s *Store) TopUp(ctx context.Context, by store.Actor, org identity.OrgID, amount identity.Credits, note string, at time.Time) (store.Account, error) {
	if err := valid.TopUp(amount, note); err != nil {
		return store.Account{}, failed(ctx, err, "top up organization %q", org)
	}
	account, err := mutate(ctx, s, by, func(tx *mutation) (store.Account, error) {
		account, err := scanAccount(tx.QueryRowContext(ctx, selectAccount, org))
		if err != nil {
			return store.Account{}, err
		}
		if account.Balance > math.MaxInt64-amount {
			return store.Account{}, fmt.Errorf("%w: amount is %d: a balance of %d cannot grow by it", store.ErrInvalid, amount, account.Balance)
		}
		_, err = tx.record(ctx, event{
			action: store.ActionAccountTopUp, subject: string(org), org: org,
			detail: detail{"amount": strconv.FormatInt(int64(amount), 10), "note": note},
		}, feed.Account(org))
		if err != nil {
			return store.Account{}, err
		}
		account, err = scanAccount(tx.QueryRowContext(ctx, `UPDATE credit_accounts SET balance = balance + ?
			WHERE org_id = ? RETURNING `+accountColumns, amount, org))
		if err != nil {
			return store.Account{}, err
		}
		_, err = addEntry(ctx, tx.transaction, store.LedgerEntry{
			Org: org, Kind: store.LedgerTopUp, Amount: amount, BalanceAfter: account.Balance, Note: note, At: s.orNow(at),
		})
		return account, err
	})
	return account, failed(ctx, err, "top up organization %q", org)
}

// SetPayAsYouGo implements store.Credits.
func (s *Store) SetPayAsYouGo(ctx context.Context, by store.Actor, org identity.OrgID, on bool) (store.Account, error) {
	account, err := mutate(ctx, s, by, func(tx *mutation) (store.Account, error) {
		account, err := scanAccount(tx.QueryRowContext(ctx, selectAccount, org))
		if err != nil || account.PayAsYouGo == on {
			return account, err
		}
		_, err = tx.record(ctx, event{
			action: store.ActionAccountPayAsYouGo, subject: string(org), org: org,
			detail: detail{"on": strconv.FormatBool(on)},
		}, feed.Account(org))
		if err != nil {
			return store.Account{}, err
		}
		return scanAccount(tx.QueryRowContext(ctx, `UPDATE credit_accounts SET pay_as_you_go = ?
			WHERE org_id = ? RETURNING `+accountColumns, on, org))
	})
	return account, failed(ctx, err, "set pay-as-you-go of organization %q", org)
}

// Account implements store.Credits.
func (s *Store) Account(ctx context.Context, org identity.OrgID) (store.Account, error) {
	account, err := scanAccount(s.reads.QueryRowContext(ctx, selectAccount, org))
	return account, failed(ctx, err, "find the account of organization %q", org)
}

// ListLedger implements store.Credits.
func (s *Store) ListLedger(ctx context.Context, org identity.OrgID, page store.Page) ([]store.LedgerEntry, string, error) {
	l := listing{columns: ledgerColumns, table: "credit_ledger", order: []string{"id"}}
	l.where("org_id = ?", org)
	entries, next, err := readPage(ctx, s.reads, l, page, scanLedgerEntry, func(e store.LedgerEntry) cursor.Position {
		return cursor.Position{At: e.ID}
	})
	return entries, next, failed(ctx, err, "list the ledger of organization %q", org)
}
