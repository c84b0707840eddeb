package storetest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func usageTests() []test {
	return []test{
		{"a key that was never used has no counts", unused},
		{"reports add up, and the last time never moves back", usageAddsUp},
		{"a key may come several times in one report", repeatedInReport},
		{"unknown keys are ignored, the others of the report count", unknownInReport},
		{"no report is lost under concurrency", usageUnderConcurrency},
		{"a count stops at what a store can hold", largeUsage},
		{"a report touches no record, no event and no change", usageIsNotRecorded},
	}
}

func withKeys(t testing.TB, s store.Store, ids ...identity.KeyID) {
	t.Helper()
	addOrganization(t, s, "org")
	for _, id := range ids {
		addKey(t, s, key(id))
	}
}

func report(t testing.TB, s store.Store, usages ...identity.Usage) {
	t.Helper()
	succeeds(t, s.AddUsage(t.Context(), usages))
}

func wantUsage(t testing.TB, s store.Store, id identity.KeyID, count uint64, lastAt time.Time) {
	t.Helper()
	equal(t, "use of "+string(id), must(s.Usage(t.Context(), id))(t), store.KeyUsage{Count: count, LastAt: lastAt})
}

func unused(t *testing.T, s store.Store) {
	withKeys(t, s, "key")
	report(t, s)
	wantUsage(t, s, "key", 0, time.Time{})
	wantUsage(t, s, "unknown", 0, time.Time{})
}

func usageAddsUp(t *testing.T, s store.Store) {
	withKeys(t, s, "key", "other")
	for _, step := range []struct {
		count     uint64
		at        time.Time
		wantCount uint64
		want      time.Time
	}{
		{3, time.Time{}, 3, time.Time{}},
		{3, day(5), 6, day(5)},
		{1, day(2), 7, day(5)},
		{1, time.Time{}, 8, day(5)},
		{0, day(6), 8, day(6)},
	} {
		report(t, s, identity.Usage{Key: "key", Count: step.count, LastAt: step.at})
		wantUsage(t, s, "key", step.wantCount, step.want)
	}
	wantUsage(t, s, "other", 0, time.Time{})
}

func repeatedInReport(t *testing.T, s store.Store) {
	withKeys(t, s, "key")
	report(t, s, identity.Usage{Key: "key", Count: 2, LastAt: day(4)}, identity.Usage{Key: "key", Count: 3, LastAt: day(3)})
	wantUsage(t, s, "key", 5, day(4))
}

func unknownInReport(t *testing.T, s store.Store) {
	withKeys(t, s, "key")
	report(t, s,
		identity.Usage{Key: "unknown", Count: 1, LastAt: day(2)}, identity.Usage{Key: "", Count: 1, LastAt: day(2)},
		identity.Usage{Key: "\xff", Count: 1, LastAt: day(2)}, identity.Usage{Key: "KEY", Count: 1, LastAt: day(2)},
		identity.Usage{Key: "key", Count: 1, LastAt: day(2)})
	wantUsage(t, s, "key", 1, day(2))
	wantUsage(t, s, "unknown", 0, time.Time{})
	addKey(t, s, key("unknown"))
	wantUsage(t, s, "unknown", 0, time.Time{})
}

func usageUnderConcurrency(t *testing.T, s store.Store) {
	const keys, reporters, each = 10, 8, 6
	addOrganization(t, s, "org")
	id := func(n int) identity.KeyID { return identity.KeyID(fmt.Sprint(n)) }
	for n := range keys {
		addKey(t, s, key(id(n)))
	}
	for _, err := range concurrently(reporters, func(reporter int) error {
		for round := range each {
			var usages []identity.Usage
			for n := range keys { // each in an order of its own
				usages = append(usages, identity.Usage{Key: id((n*3 + reporter) % keys), Count: 1, LastAt: day(1 + round)})
			}
			if err := s.AddUsage(t.Context(), usages); err != nil {
				return err
			}
		}
		return nil
	}) {
		succeeds(t, err)
	}
	for n := range keys {
		wantUsage(t, s, id(n), reporters*each, day(each))
	}
}

func largeUsage(t *testing.T, s store.Store) {
	withKeys(t, s, "key")
	for range 2 {
		report(t, s, identity.Usage{Key: "key", Count: math.MaxUint64, LastAt: day(1)}, identity.Usage{Key: "key", Count: math.MaxUint64, LastAt: day(1)})
		wantUsage(t, s, "key", math.MaxInt64, day(1))
	}
}

func usageIsNotRecorded(t *testing.T, s store.Store) {
	withKeys(t, s, "key")
	before, written := must(s.Key(t.Context(), "key"))(t), readWritten(t, s)
	report(t, s, identity.Usage{Key: "key", Count: 1, LastAt: day(2)})
	equal(t, "key", must(s.Key(t.Context(), "key"))(t), before)
	equal(t, "written", readWritten(t, s), written)
}
