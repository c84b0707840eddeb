package storetest

import (
	"fmt"
	"math"
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func creditTests() []test {
	return []test{
		{"an organization has an empty account from its creation", emptyAccount},
		{"a top-up and a debit move the balance and are written down", movements},
		{"a cost that the balance does not cover is refused, and nothing is written", insufficientBalance},
		{"concurrent debits charge exactly what the balance covers", exactUnderConcurrency},
		{"a request id is charged once, whoever repeats it and at whatever balance", chargedOnce},
		{"a request id is charged once under concurrency", chargedOnceUnderConcurrency},
		{"request ids that look alike, and those of another organization, are charged each", lookalikeRequests},
		{"pay-as-you-go lets the balance fall below zero, as long as it is on", payAsYouGo},
		{"concurrent debits are exact with pay-as-you-go", exactBelowZero},
		{"concurrent top-ups and debits sum to the balance", mixedMovements},
		{"an amount that is not positive, or too large to count, is refused", invalidAmounts},
		{"an unknown organization has no account", unknownAccount},
	}
}

// withBalance adds organization "org" with that many credits.
func withBalance(t testing.TB, s store.Store, credits identity.Credits) {
	t.Helper()
	addOrganization(t, s, "org")
	if credits > 0 {
		must(s.TopUp(t.Context(), operator, "org", credits, "to begin with", day(1)))(t)
	}
}

func reservation(request string, cost identity.Credits) store.Reservation {
	return store.Reservation{Org: "org", Key: "key", RequestID: request, Cost: cost, Note: "POST /jobs", At: day(2)}
}

// reserve charges and fails the test unless the outcome is as wanted.
func reserve(t testing.TB, s store.Store, r store.Reservation, balance identity.Credits, charged bool) {
	t.Helper()
	gotBalance, gotCharged, err := s.Reserve(t.Context(), r)
	succeeds(t, err)
	equal(t, "balance and charged", []any{gotBalance, gotCharged}, []any{balance, charged})
}

// wantLedger checks that the organization's ledger is a chain of movements from
// zero to the balance of its account, and returns it.
func wantLedger(t testing.TB, s store.Store, org identity.OrgID, balance identity.Credits, entries int) []store.LedgerEntry {
	t.Helper()
	account := must(s.Account(t.Context(), org))(t)
	equal(t, "balance of the account", account.Balance, balance)
	ledger, _, err := s.ListLedger(t.Context(), org, whole())
	succeeds(t, err)
	equal(t, "entries", len(ledger), entries)
	sum, last := identity.Credits(0), int64(math.MinInt64)
	for _, e := range ledger {
		sum += e.Amount
		if e.BalanceAfter != sum || e.ID <= last || e.Org != org {
			t.Errorf("entry %+v does not follow entry %d with balance %d", e, last, sum-e.Amount)
		}
		last = e.ID
	}
	equal(t, "sum of the ledger", sum, balance)
	return ledger
}

func emptyAccount(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	equal(t, "account", must(s.Account(t.Context(), "org"))(t), store.Account{Org: "org"})
	wantLedger(t, s, "org", 0, 0)
}

func movements(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	account := must(s.TopUp(ctx, operator, "org", 10, "invoice 7", day(1)))(t)
	equal(t, "account", account, store.Account{Org: "org", Balance: 10})
	reserve(t, s, reservation("request", 4), 6, true)
	ledger := wantLedger(t, s, "org", 6, 2)
	equal(t, "top-up", ledger[0], store.LedgerEntry{
		ID: ledger[0].ID, Org: "org", Kind: store.LedgerTopUp, Amount: 10, BalanceAfter: 10, Note: "invoice 7", At: day(1),
	})
	equal(t, "debit", ledger[1], store.LedgerEntry{
		ID: ledger[1].ID, Org: "org", Kind: store.LedgerDebit, Amount: -4, BalanceAfter: 6,
		Key: "key", RequestID: "request", Note: "POST /jobs", At: day(2),
	})
}

func insufficientBalance(t *testing.T, s store.Store) {
	withBalance(t, s, 3)
	_, charged, err := s.Reserve(t.Context(), reservation("dear", 4))
	wantError(t, err, store.ErrInsufficient)
	equal(t, "charged", charged, false)
	wantLedger(t, s, "org", 3, 1)
	reserve(t, s, reservation("all", 3), 0, true)
	_, _, err = s.Reserve(t.Context(), reservation("one more", 1))
	wantError(t, err, store.ErrInsufficient)
	wantLedger(t, s, "org", 0, 2)

	must(s.TopUp(t.Context(), operator, "org", 1, "", day(3)))(t)
	reserve(t, s, reservation("one more", 1), 0, true) // a refusal does not use the id up
}

func exactUnderConcurrency(t *testing.T, s store.Store) {
	withBalance(t, s, 100)
	errs := concurrently(64, func(worker int) error {
		for i := range 3 {
			_, charged, err := s.Reserve(t.Context(), reservation(fmt.Sprintf("%d-%d", worker, i), 1))
			if err != nil {
				return err
			}
			if !charged {
				return fmt.Errorf("request %d-%d was not charged", worker, i)
			}
		}
		return nil
	})
	tally(t, errs, store.ErrInsufficient)
	wantLedger(t, s, "org", 0, 1+100)
}

func chargedOnce(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservation("request", 6), 4, true)
	reserve(t, s, reservation("request", 6), 4, false)
	other := reservation("request", 1)
	other.Key = "another"
	reserve(t, s, other, 4, false)
	reserve(t, s, reservation("another", 4), 0, true)
	reserve(t, s, reservation("request", 6), 0, false)
	wantLedger(t, s, "org", 0, 3)
}

func chargedOnceUnderConcurrency(t *testing.T, s store.Store) {
	withBalance(t, s, 100)
	charges := make([]bool, 16)
	for _, err := range concurrently(16, func(i int) (err error) {
		_, charges[i], err = s.Reserve(t.Context(), reservation("request", 7))
		return err
	}) {
		succeeds(t, err)
	}
	count := 0
	for _, charged := range charges {
		if charged {
			count++
		}
	}
	equal(t, "charges", count, 1)
	wantLedger(t, s, "org", 93, 2)
}

func lookalikeRequests(t *testing.T, s store.Store) {
	withBalance(t, s, 100)
	for i, name := range lookalikes() {
		reserve(t, s, reservation(name, 1), identity.Credits(99-i), true)
	}
	addOrganization(t, s, "other")
	must(s.TopUp(t.Context(), operator, "other", 1, "", day(1)))(t)
	elsewhere := reservation(lookalikes()[0], 1)
	elsewhere.Org = "other"
	reserve(t, s, elsewhere, 0, true)
	wantLedger(t, s, "org", identity.Credits(100-len(lookalikes())), 1+len(lookalikes()))
}

func payAsYouGo(t *testing.T, s store.Store) {
	ctx := t.Context()
	withBalance(t, s, 1)
	account := must(s.SetPayAsYouGo(ctx, operator, "org", true))(t)
	equal(t, "account", account, store.Account{Org: "org", Balance: 1, PayAsYouGo: true})
	equal(t, "found", must(s.Account(ctx, "org"))(t), account)
	reserve(t, s, reservation("a", 3), -2, true)
	reserve(t, s, reservation("a", 3), -2, false)
	reserve(t, s, reservation("b", 3), -5, true)

	must(s.SetPayAsYouGo(ctx, operator, "org", false))(t)
	_, _, err := s.Reserve(ctx, reservation("c", 1))
	wantError(t, err, store.ErrInsufficient)
	must(s.TopUp(ctx, operator, "org", 6, "", day(3)))(t)
	reserve(t, s, reservation("c", 1), 0, true)
	wantLedger(t, s, "org", 0, 5)
}

func exactBelowZero(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	must(s.SetPayAsYouGo(t.Context(), operator, "org", true))(t)
	for _, err := range concurrently(32, func(i int) error {
		_, _, err := s.Reserve(t.Context(), reservation(fmt.Sprint(i), 2))
		return err
	}) {
		succeeds(t, err)
	}
	wantLedger(t, s, "org", 10-64, 1+32)
}

func mixedMovements(t *testing.T, s store.Store) {
	withBalance(t, s, 50)
	for _, err := range concurrently(40, func(i int) error {
		if i%2 == 0 {
			_, err := s.TopUp(t.Context(), operator, "org", 3, "", day(2))
			return err
		}
		_, _, err := s.Reserve(t.Context(), reservation(fmt.Sprint(i), 2))
		return err
	}) {
		succeeds(t, err)
	}
	wantLedger(t, s, "org", 50+20*3-20*2, 1+40)
}

func invalidAmounts(t *testing.T, s store.Store) {
	ctx := t.Context()
	withBalance(t, s, 10)
	for _, amount := range []identity.Credits{0, -1, math.MinInt64, math.MaxInt64, math.MaxInt64 - 9} {
		fails(s.TopUp(ctx, operator, "org", amount, "", day(1)))(t, store.ErrInvalid)
	}
	for _, cost := range []identity.Credits{0, -1, math.MinInt64} {
		_, _, err := s.Reserve(ctx, reservation("request", cost))
		wantError(t, err, store.ErrInvalid)
	}
	_, _, err := s.Reserve(ctx, reservation("", 1))
	wantError(t, err, store.ErrInvalid)

	must(s.SetPayAsYouGo(ctx, operator, "org", true))(t)
	reserve(t, s, reservation("largest", math.MaxInt64), 10-math.MaxInt64, true)
	_, _, err = s.Reserve(ctx, reservation("beyond", math.MaxInt64))
	wantError(t, err, store.ErrInsufficient)
	wantLedger(t, s, "org", 10-math.MaxInt64, 2)
}

func unknownAccount(t *testing.T, s store.Store) {
	ctx := t.Context()
	withBalance(t, s, 10)
	for _, org := range []identity.OrgID{"unknown", "ORG", ""} {
		fails(s.Account(ctx, org))(t, store.ErrNotFound)
		fails(s.TopUp(ctx, operator, org, 1, "", day(1)))(t, store.ErrNotFound)
		fails(s.SetPayAsYouGo(ctx, operator, org, true))(t, store.ErrNotFound)
		r := reservation("request", 1)
		r.Org = org
		_, _, err := s.Reserve(ctx, r)
		wantError(t, err, store.ErrNotFound)
		ledger, _, err := s.ListLedger(ctx, org, whole())
		succeeds(t, err)
		equal(t, "ledger", len(ledger), 0)
	}
}
