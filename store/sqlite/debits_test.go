package sqlite

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

// account makes an organization with credits.
func account(t *testing.T, s *Store, credits identity.Credits) {
	t.Helper()
	_, err := s.CreateOrganization(t.Context(), "operator", store.Organization{Organization: identity.Organization{ID: "org", Slug: "org"}})
	if err == nil {
		_, err = s.TopUp(t.Context(), "operator", "org", credits, "", time.Time{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// together has reservations wait for the writer, whose connection is held until all
// are there and meanwhile has run, and returns their errors.
func together(t *testing.T, s *Store, meanwhile func(), reservations ...store.Reservation) []error {
	t.Helper()
	held, err := s.writes.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	results := make([]chan error, len(reservations))
	for i, r := range reservations {
		results[i] = make(chan error, 1)
		go func() {
			_, charged, err := s.Reserve(t.Context(), r)
			if err == nil && !charged {
				err = errors.New("not charged")
			}
			results[i] <- err
		}()
		waitFor(t, s, i+1) // they are charged in this order
	}
	meanwhile()
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	all := make([]error, len(results))
	for i := range results {
		all[i] = <-results[i]
	}
	return all
}

// waitFor waits until so many debits wait.
func waitFor(t *testing.T, s *Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.debits.mu.Lock()
		waiting := len(s.debits.waiting)
		s.debits.mu.Unlock()
		if waiting == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d debits wait, not %d", waiting, n)
		}
	}
}

func reservation(request string, cost identity.Credits) store.Reservation {
	return store.Reservation{Org: "org", RequestID: request, Cost: cost}
}

func wantBalance(t *testing.T, s *Store, want identity.Credits, entries int) {
	t.Helper()
	got, err := s.Account(t.Context(), "org")
	if err != nil || got.Balance != want {
		t.Fatalf("the balance is %d (%v), not %d", got.Balance, err, want)
	}
	ledger, _, err := s.ListLedger(t.Context(), "org", store.Page{Limit: 100})
	if err != nil || len(ledger) != entries {
		t.Fatalf("the ledger has %d entries (%v), not %d", len(ledger), err, entries)
	}
}

func TestARefusedDebitConcernsNoOtherOfItsTransaction(t *testing.T) {
	s := openEmpty(t)
	account(t, s, 10)
	elsewhere := reservation("of nobody", 1)
	elsewhere.Org = "nobody"
	got := together(t, s, func() {}, reservation("a", 6), reservation("b", 6), elsewhere, reservation("a", 6), reservation("c", 4))
	if got[0] != nil || !errors.Is(got[1], store.ErrInsufficient) || !errors.Is(got[2], store.ErrNotFound) || got[4] != nil {
		t.Fatal(got)
	}
	if got[3] == nil || got[3].Error() != "not charged" {
		t.Fatalf("the same request again: %v", got[3])
	}
	wantBalance(t, s, 0, 3)
}

func TestADebitThatCannotBeWrittenConcernsNoOther(t *testing.T) {
	s := openEmpty(t)
	account(t, s, 10)
	const spoil = `CREATE TRIGGER spoiled BEFORE INSERT ON credit_ledger WHEN NEW.request_id = 'bad' BEGIN SELECT RAISE(ABORT, 'spoiled'); END`
	if _, err := s.writes.ExecContext(t.Context(), spoil); err != nil {
		t.Fatal(err)
	}
	got := together(t, s, func() {}, reservation("a", 1), reservation("bad", 1), reservation("b", 1))
	if got[0] != nil || got[1] == nil || got[2] != nil {
		t.Fatal(got)
	}
	wantBalance(t, s, 8, 3)
	if got := together(t, s, func() {}, reservation("bad", 1)); got[0] == nil {
		t.Fatal("it was written alone")
	}
	wantBalance(t, s, 8, 3)
}

func TestADebitIsGivenUpWhileItWaits(t *testing.T) {
	s := openEmpty(t)
	account(t, s, 10)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	got := together(t, s, func() {
		go func() {
			_, _, err := s.Reserve(ctx, reservation("gone", 1))
			gone <- err
		}()
		waitFor(t, s, 2)
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("given up: %v", err)
		}
	}, reservation("a", 1))
	if got[0] != nil {
		t.Fatal(got)
	}
	wantBalance(t, s, 9, 2)
}

func TestDebitsFailWhereNothingCanBeWritten(t *testing.T) {
	s := openEmpty(t)
	account(t, s, 10)
	if err := s.writes.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, _, err := s.Reserve(t.Context(), reservation(strconv.Itoa(i), 1)); err == nil {
			t.Fatal("reserved")
		}
	}
}
