package storetest

import (
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func replicaTests() []test {
	return []test{
		{"a replica is listed as it beat, at the store's time", foundReplica},
		{"a beat renews the lease and keeps the start", renewedLease},
		{"what a replica has applied never moves back", appliedMovesForward},
		{"what a replica has applied never moves back under concurrency", appliedUnderConcurrency},
		{"a replica is listed for a minute after its lease", endedLeases},
		{"replicas are listed in the order of their start", orderedReplicas},
		{"a replica that left is gone, and may come again", leftReplica},
		{"ids that look alike are different replicas", lookalikeReplicas},
		{"a replica needs an id", invalidReplica},
		{"a beat writes no event and no change", beatsAreNotRecorded},
	}
}

func replicaWakeTests() []test {
	return []test{
		{"everyone who waits is woken by a beat and by a leave", wokenByReplicas},
		{"who waits for changes is not woken by a beat, nor the other way about", wokenApart},
		{"nobody is woken after ending it", replicaWakeEnded},
	}
}

func beat(t testing.TB, s store.Store, id identity.ReplicaID, applied identity.Revision, lease time.Duration) {
	t.Helper()
	succeeds(t, s.Beat(t.Context(), identity.Replica{ID: id, Name: "host of " + string(id), Applied: applied}, lease))
}

// replicas lists them, and checks that the store's time is between two others.
func replicas(t testing.TB, s store.Store) []identity.Replica {
	t.Helper()
	all, now, err := s.ListReplicas(t.Context())
	succeeds(t, err)
	if now.Location() != time.UTC {
		t.Errorf("the present time is in %v, want UTC", now.Location())
	}
	for _, r := range all {
		if r.SeenAt.Before(r.StartedAt) || now.Before(r.StartedAt) {
			t.Errorf("replica %+v at %v, want its times in order", r, now)
		}
	}
	return all
}

func replicaIDs(t testing.TB, s store.Store) (ids []identity.ReplicaID) {
	t.Helper()
	for _, r := range replicas(t, s) {
		ids = append(ids, r.ID)
	}
	return ids
}

func foundReplica(t *testing.T, s store.Store) {
	ctx := t.Context()
	equal(t, "replicas", len(replicas(t, s)), 0)
	_, before, err := s.ListReplicas(ctx)
	succeeds(t, err)
	given := identity.Replica{ID: "one", Name: "host", Applied: 7, StartedAt: day(1), SeenAt: day(2), LeaseUntil: day(3)}
	succeeds(t, s.Beat(ctx, given, 5*time.Second))
	got, after, err := s.ListReplicas(ctx)
	succeeds(t, err)
	if len(got) != 1 {
		t.Fatalf("replicas are %+v, want one", got)
	}
	if got[0].SeenAt.Before(before) || got[0].SeenAt.After(after) {
		t.Errorf("seen at %v, want the store's time between %v and %v", got[0].SeenAt, before, after)
	}
	given.StartedAt, given.SeenAt, given.LeaseUntil = got[0].SeenAt, got[0].SeenAt, got[0].SeenAt.Add(5*time.Second)
	equal(t, "replica", got[0], given)
}

func renewedLease(t *testing.T, s store.Store) {
	beat(t, s, "one", 1, time.Second)
	first := replicas(t, s)[0]
	time.Sleep(2 * time.Millisecond)
	succeeds(t, s.Beat(t.Context(), identity.Replica{ID: "one", Name: "renamed", Applied: 2}, 3*time.Second))
	second := replicas(t, s)[0]
	if !second.SeenAt.After(first.SeenAt) {
		t.Errorf("seen at %v after %v", second.SeenAt, first.SeenAt)
	}
	equal(t, "renewed", second, identity.Replica{
		ID: "one", Name: "renamed", Applied: 2, StartedAt: first.StartedAt,
		SeenAt: second.SeenAt, LeaseUntil: second.SeenAt.Add(3 * time.Second),
	})
}

func appliedMovesForward(t *testing.T, s store.Store) {
	for _, step := range []struct{ applied, want identity.Revision }{{5, 5}, {3, 5}, {0, 5}, {6, 6}} {
		beat(t, s, "one", step.applied, time.Minute)
		equal(t, "applied", replicas(t, s)[0].Applied, step.want)
	}
}

func appliedUnderConcurrency(t *testing.T, s store.Store) {
	for _, err := range concurrently(16, func(i int) error {
		return s.Beat(t.Context(), identity.Replica{ID: "one", Applied: identity.Revision(i)}, time.Minute)
	}) {
		succeeds(t, err)
	}
	got := replicas(t, s)
	equal(t, "replicas", len(got), 1)
	equal(t, "applied", got[0].Applied, identity.Revision(15))
}

func endedLeases(t *testing.T, s store.Store) {
	beat(t, s, "alive", 1, time.Minute)
	beat(t, s, "ended", 1, -50*time.Second)
	beat(t, s, "forgotten", 1, -70*time.Second)
	_, now, err := s.ListReplicas(t.Context())
	succeeds(t, err)
	alive := map[identity.ReplicaID]bool{}
	for _, r := range replicas(t, s) {
		alive[r.ID] = r.LeaseUntil.After(now)
	}
	equal(t, "alive", alive, map[identity.ReplicaID]bool{"alive": true, "ended": false})

	beat(t, s, "forgotten", 1, time.Minute)
	equal(t, "replicas after another beat", len(replicas(t, s)), 3)
}

func orderedReplicas(t *testing.T, s store.Store) {
	for _, id := range []identity.ReplicaID{"c", "a", "b", "c"} {
		beat(t, s, id, 1, time.Minute)
		time.Sleep(2 * time.Millisecond)
	}
	equal(t, "replicas", replicaIDs(t, s), []identity.ReplicaID{"c", "a", "b"})
}

func leftReplica(t *testing.T, s store.Store) {
	ctx := t.Context()
	beat(t, s, "one", 5, time.Minute)
	beat(t, s, "other", 5, time.Minute)
	succeeds(t, s.Leave(ctx, "one"))
	succeeds(t, s.Leave(ctx, "one"))
	succeeds(t, s.Leave(ctx, "unknown"))
	equal(t, "replicas", replicaIDs(t, s), []identity.ReplicaID{"other"})
	beat(t, s, "one", 1, time.Minute)
	equal(t, "replicas", replicaIDs(t, s), []identity.ReplicaID{"other", "one"})
	equal(t, "applied by the new one", replicas(t, s)[1].Applied, identity.Revision(1))
}

func lookalikeReplicas(t *testing.T, s store.Store) {
	for i, name := range lookalikes() {
		beat(t, s, identity.ReplicaID(name), identity.Revision(i), time.Minute)
	}
	equal(t, "replicas", len(replicas(t, s)), len(lookalikes()))
	succeeds(t, s.Leave(t.Context(), identity.ReplicaID(lookalikes()[0])))
	equal(t, "replicas", len(replicas(t, s)), len(lookalikes())-1)
}

func invalidReplica(t *testing.T, s store.Store) {
	wantError(t, s.Beat(t.Context(), identity.Replica{Name: "host"}, time.Minute), store.ErrInvalid)
	wantError(t, s.Beat(t.Context(), identity.Replica{ID: "\xff"}, time.Minute), store.ErrInvalid)
	equal(t, "replicas", len(replicas(t, s)), 0)
}

func beatsAreNotRecorded(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	before := readWritten(t, s)
	beat(t, s, "one", 1, time.Minute)
	succeeds(t, s.Leave(t.Context(), "one"))
	equal(t, "written", readWritten(t, s), before)
}

func wokenByReplicas(t *testing.T, s store.Store) {
	first, endFirst := s.WakeReplicas()
	defer endFirst()
	second, endSecond := s.WakeReplicas()
	defer endSecond()
	for _, wake := range []<-chan struct{}{first, second} {
		wakes(t, wake, func() { beat(t, s, "one", 1, time.Minute) })
		wakes(t, wake, func() { succeeds(t, s.Leave(t.Context(), "one")) })
	}
}

func wokenApart(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	changes, endChanges := s.Wake()
	defer endChanges()
	beats, endBeats := s.WakeReplicas()
	defer endBeats()
	untilQuiet(t, changes)
	untilQuiet(t, beats)
	beat(t, s, "one", 1, time.Minute)
	succeeds(t, s.Leave(t.Context(), "one"))
	notWokenBy(t, changes, "a beat")
	untilQuiet(t, beats)
	addUser(t, s, "user")
	notWokenBy(t, beats, "a change")
}

func replicaWakeEnded(t *testing.T, s store.Store) {
	ended, end := s.WakeReplicas()
	end()
	end() // twice is fine
	beat(t, s, "one", 1, time.Minute)
	notWokenBy(t, ended, "a beat after the end")
}

func notWokenBy(t testing.TB, wake <-chan struct{}, what string) {
	t.Helper()
	select {
	case _, open := <-wake:
		t.Errorf("woken by %s, channel open: %v", what, open)
	case <-time.After(100 * time.Millisecond):
	}
}
