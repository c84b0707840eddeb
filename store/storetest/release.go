package storetest

import (
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func releaseTests() []test {
	return []test{
		{"a released debit is given back with an entry of its own", releasedDebit},
		{"a released request id is charged again, once", chargedAgain},
		{"a debit is given back once, also under concurrency", releasedOnce},
		{"releasing what is not charged does nothing", releasedNothing},
		{"a release needs a request id", invalidRelease},
	}
}

func releasedDebit(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservation("request", 4), 6, true)
	other := reservation("request", 99) // what was charged counts, not what is said now
	other.Key, other.Note = "another", "another"
	succeeds(t, s.Release(t.Context(), other))
	ledger := wantLedger(t, s, "org", 10, 3)
	entry := ledger[2]
	if entry.At.IsZero() {
		t.Error("the release has no time")
	}
	equal(t, "release", entry, store.LedgerEntry{
		ID: entry.ID, Org: "org", Kind: store.LedgerRelease, Amount: 4, BalanceAfter: 10,
		Key: "key", RequestID: "request", Note: "POST /jobs", At: entry.At,
	})
}

func chargedAgain(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	for range 3 {
		reserve(t, s, reservation("request", 4), 6, true)
		reserve(t, s, reservation("request", 4), 6, false)
		succeeds(t, s.Release(t.Context(), reservation("request", 4)))
	}
	wantLedger(t, s, "org", 10, 1+6)
}

func releasedOnce(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservation("kept", 1), 9, true)
	reserve(t, s, reservation("request", 4), 5, true)
	for _, err := range concurrently(16, func(int) error {
		return s.Release(t.Context(), reservation("request", 4))
	}) {
		succeeds(t, err)
	}
	succeeds(t, s.Release(t.Context(), reservation("request", 4)))
	wantLedger(t, s, "org", 9, 4)
}

func releasedNothing(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	addOrganization(t, s, "other")
	reserve(t, s, reservation("request", 4), 6, true)
	for _, c := range []struct {
		org     identity.OrgID
		request string
	}{{"org", "REQUEST"}, {"org", "unknown"}, {"other", "request"}, {"unknown", "request"}} {
		r := reservation(c.request, 4)
		r.Org = c.org
		succeeds(t, s.Release(t.Context(), r))
	}
	wantLedger(t, s, "org", 6, 2)
	wantLedger(t, s, "other", 0, 0)
}

func invalidRelease(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	wantError(t, s.Release(t.Context(), reservation("", 4)), store.ErrInvalid)
	wantLedger(t, s, "org", 10, 1)
}
