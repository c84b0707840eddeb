package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func pruneChangesTests() []test {
	return []test{
		{"a time that is left out prunes nothing", prunedNothing},
		{"old changes leave the feed, and who had not seen them is told", prunedFeed},
		{"the latest change stays, however old", latestChangeStays},
		{"a reader behind a pruning misses no change without being told", followedPruning},
	}
}

func pruneRequestTests() []test {
	return []test{
		{"a forgotten request id is charged again, and its entry stays", forgottenRequest},
		{"a request id that is not old enough is charged once", rememberedRequest},
		{"a forgotten debit is not released any more", forgottenRelease},
		{"debits are exact while others are forgotten", exactWhileForgetting},
	}
}

// prune goes on until nothing is left to prune.
func prune(t testing.TB, s store.Store, p store.Pruning) {
	t.Helper()
	for range 1000 {
		if more := must(s.Prune(t.Context(), p))(t); !more {
			return
		}
	}
	t.Fatal("pruning does not end")
}

// distantly adds users whose changes have different times, and returns the changes.
func distantly(t testing.TB, s store.Store, n int) []store.Change {
	t.Helper()
	for i := range n {
		time.Sleep(2 * time.Millisecond)
		addUser(t, s, identity.UserID(fmt.Sprint(i)))
	}
	return feed(t, s, 0)
}

func prunedNothing(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservation("request", 4), 6, true)
	before := readWritten(t, s)
	equal(t, "more", must(s.Prune(t.Context(), store.Pruning{}))(t), false)
	equal(t, "written", readWritten(t, s), before)
	reserve(t, s, reservation("request", 4), 6, false)
}

func prunedFeed(t *testing.T, s store.Store) {
	ctx := t.Context()
	all := distantly(t, s, 6)
	log := events(t, s)
	for range 2 { // pruning again changes nothing
		prune(t, s, store.Pruning{Changes: all[3].At})
		for i, c := range all {
			if i < 2 {
				fails(s.ChangesAfter(ctx, c.Revision, 10))(t, store.ErrPruned)
			} else {
				equal(t, fmt.Sprintf("changes after %d", i), feed(t, s, c.Revision), append([]store.Change(nil), all[i+1:]...))
			}
		}
		fails(s.ChangesAfter(ctx, 0, 10))(t, store.ErrPruned)
		equal(t, "latest", must(s.LatestRevision(ctx))(t), all[5].Revision)
		equal(t, "events", events(t, s), log)
	}
	addOrganization(t, s, "org")
	later := feed(t, s, all[5].Revision)
	equal(t, "later changes", len(later), 1)
	if later[0].Revision <= all[5].Revision {
		t.Errorf("revision %d does not follow %d", later[0].Revision, all[5].Revision)
	}
}

func latestChangeStays(t *testing.T, s store.Store) {
	all := distantly(t, s, 3)
	prune(t, s, store.Pruning{Changes: all[2].At.Add(time.Hour)})
	equal(t, "latest", must(s.LatestRevision(t.Context()))(t), all[2].Revision)
	equal(t, "what is left", feed(t, s, all[1].Revision), all[2:])
	fails(s.ChangesAfter(t.Context(), all[0].Revision, 10))(t, store.ErrPruned)
	equal(t, "after the latest", len(feed(t, s, all[2].Revision)), 0)
}

func followedPruning(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	const writers, each = 4, 15
	revisions := make([][]identity.Revision, writers)
	done := make(chan []error)
	go func() {
		done <- concurrently(writers, func(w int) error {
			for i := range each {
				created, err := s.CreateKey(t.Context(), operator, key(identity.KeyID(fmt.Sprintf("%d-%d", w, i))), store.KeyLimit{})
				if err != nil {
					return err
				}
				revisions[w] = append(revisions[w], created.Revision)
				if _, err := s.Prune(t.Context(), store.Pruning{Changes: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	type part struct{ after, through identity.Revision } // what a reader was told of
	var told []part
	seen := map[identity.Revision]bool{}
	after := must(s.LatestRevision(t.Context()))(t)
	read := func() {
		changes, err := s.ChangesAfter(t.Context(), after, 3)
		if errors.Is(err, store.ErrPruned) {
			after = must(s.LatestRevision(t.Context()))(t)
			return
		}
		succeeds(t, err)
		for _, c := range changes {
			seen[c.Revision] = true
			told = append(told, part{after, c.Revision})
			after = c.Revision
		}
		time.Sleep(time.Millisecond) // fall behind
	}
	for running := true; running; read() {
		select {
		case errs := <-done:
			for _, err := range errs {
				succeeds(t, err)
			}
			running = false
		default:
		}
	}
	for _, written := range revisions {
		for _, revision := range written {
			for _, p := range told {
				if revision > p.after && revision <= p.through && !seen[revision] {
					t.Errorf("a reader went from %d to %d and was not told of %d", p.after, p.through, revision)
				}
			}
		}
	}
}

// reservationAt is a reservation at a time of its own.
func reservationAt(request string, cost identity.Credits, at time.Time) store.Reservation {
	r := reservation(request, cost)
	r.At = at
	return r
}

func forgottenRequest(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservationAt("request", 4, day(2)), 6, true)
	before := wantLedger(t, s, "org", 6, 2)
	prune(t, s, store.Pruning{RequestIDs: day(3)})
	equal(t, "ledger", wantLedger(t, s, "org", 6, 2), before)

	reserve(t, s, reservationAt("request", 4, day(5)), 2, true)
	reserve(t, s, reservationAt("request", 4, day(6)), 2, false)
	wantLedger(t, s, "org", 2, 3)
	succeeds(t, s.Release(t.Context(), reservation("request", 4)))
	wantLedger(t, s, "org", 6, 4)
}

func rememberedRequest(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservationAt("old", 1, day(2)), 9, true)
	reserve(t, s, reservationAt("on time", 1, day(3)), 8, true)
	reserve(t, s, reservationAt("late", 1, day(4)), 7, true)
	prune(t, s, store.Pruning{RequestIDs: day(3), Changes: day(1)})
	reserve(t, s, reservationAt("on time", 1, day(5)), 7, false)
	reserve(t, s, reservationAt("late", 1, day(5)), 7, false)
	reserve(t, s, reservationAt("old", 1, day(5)), 6, true)
}

func forgottenRelease(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	reserve(t, s, reservationAt("request", 4, day(2)), 6, true)
	prune(t, s, store.Pruning{RequestIDs: day(3)})
	succeeds(t, s.Release(t.Context(), reservation("request", 4)))
	wantLedger(t, s, "org", 6, 2)
}

func exactWhileForgetting(t *testing.T, s store.Store) {
	const workers, each = 8, 10
	withBalance(t, s, workers*each)
	charges := make([]int, workers)
	for _, err := range concurrently(workers+1, func(w int) error {
		for i := range each {
			if w == workers {
				if _, err := s.Prune(t.Context(), store.Pruning{RequestIDs: day(3)}); err != nil {
					return err
				}
				continue
			}
			// Ids of different workers collide; some of them are released.
			r := reservationAt(fmt.Sprint(i), 1, day(1+i%5))
			_, charged, err := s.Reserve(t.Context(), r)
			if err != nil {
				return err
			}
			if charged {
				charges[w]++
			}
			if i%3 == 0 {
				if err := s.Release(t.Context(), r); err != nil {
					return err
				}
			}
		}
		return nil
	}) {
		succeeds(t, err)
	}
	want := 0
	for _, n := range charges {
		want += n
	}
	ledger, _, err := s.ListLedger(t.Context(), "org", whole())
	succeeds(t, err)
	debits := 0
	for _, e := range ledger {
		if e.Kind == store.LedgerDebit {
			debits++
		}
	}
	equal(t, "debits", debits, want)
	wantLedger(t, s, "org", must(s.Account(t.Context(), "org"))(t).Balance, len(ledger))
}
