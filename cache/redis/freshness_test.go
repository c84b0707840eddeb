package redis_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"postern/authz"
	"postern/authz/identity"
	"postern/cache"
	"postern/internal/testenv"
)

// replica is one server's cache side over a shared cache, with a store of one key
// and a feed that the test plays.
type replica struct {
	tier    *cache.Tier[string, *identity.Key]
	fence   *cache.Fence
	history *cache.History
	applied identity.Revision
	stored  *identity.Key // what the store says
	asked   int           // how often it was
	stale   atomic.Int64  // shared values that were not believed
}

const (
	issued  identity.Revision = 5
	revoked identity.Revision = 6
)

func newReplica(t *testing.T, shared cache.Shared) *replica {
	t.Helper()
	r := &replica{
		fence: &cache.Fence{}, history: cache.NewHistory(100, 0), applied: issued,
		stored: &identity.Key{ID: "k", Org: "o", Revision: issued},
	}
	r.fence.Extend(time.Now().Add(time.Hour))
	tier, err := cache.NewTier[string, *identity.Key](r.fence, cache.Options{
		TTL: 10 * time.Second, NegativeTTL: time.Second, Size: 10, NegativeSize: 10, Loads: 1, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	writes := cache.NewWrites(1, 10, time.Second)
	tier.Share(&cache.Level[string, *identity.Key]{
		Shared: shared, Writes: writes, Prefix: "test:", Secret: []byte("the store's own secret"), History: r.history,
		KeyText:  func(key string) string { return key },
		Subjects: func(_ string, key *identity.Key) []cache.Subject { return []cache.Subject{cache.KeySubject(key.ID)} },
		TTL:      time.Minute, Timeout: time.Second, Clock: time.Now,
		Seen: func(e cache.Event) {
			if e == cache.SharedStale {
				r.stale.Add(1)
			}
		},
	}, func() identity.Revision { return r.applied })
	r.tier = tier

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); writes.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return r
}

// lookup is a request for the key; it says whether it would be allowed.
func (r *replica) lookup(t *testing.T) bool {
	t.Helper()
	key, presence := r.tier.Cached("k", time.Now())
	if presence == authz.Unknown {
		var err error
		key, presence, err = r.tier.Load(t.Context(), "k", func(context.Context) (*identity.Key, authz.Presence, error) {
			r.asked++
			return r.stored, authz.Found, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return presence == authz.Found && key.RevokedAt.IsZero()
}

// revoke is what the store and its feed tell the replica.
func (r *replica) revoke() {
	r.stored = &identity.Key{ID: "k", Org: "o", Revision: revoked, RevokedAt: time.Now()}
	change := identity.Change{Revision: revoked, Kind: identity.ChangeKey, Key: "k"}
	r.fence.Invalidate(func() {
		r.history.Note(change)
		r.tier.Forget("k")
	})
	r.applied = revoked
	r.tier.Bury("k", revoked)
}

// waitForValue waits until the shared cache holds something else under the key,
// and returns it.
func waitForValue(t *testing.T, shared cache.Shared, not []byte) []byte {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
		if value, found, err := shared.Get(t.Context(), "test:k"); err == nil && found && !bytes.Equal(value, not) {
			return value
		}
	}
	t.Fatal("the value never comes")
	return nil
}

// bringBack lets two replicas use a key, revokes it, and then asks the second,
// once the shared cache says again what it said before.
func bringBack(t *testing.T, shared cache.Shared, before, misfortune func()) {
	t.Helper()
	first, second := newReplica(t, shared), newReplica(t, shared)
	if !first.lookup(t) {
		t.Fatal("a good key is refused")
	}
	good := waitForValue(t, shared, nil)
	if !second.lookup(t) || second.asked != 0 {
		t.Fatalf("the second replica asks the store %d times: nothing is shared", second.asked)
	}
	before()
	first.revoke()
	second.revoke()
	waitForValue(t, shared, good)
	misfortune()
	if value, found, err := shared.Get(t.Context(), "test:k"); err != nil || !found || !bytes.Equal(value, good) {
		t.Fatalf("the old value is not back: found %v, %v", found, err)
	}
	if second.lookup(t) {
		t.Error("a revoked key is allowed")
	}
	if second.asked != 1 || second.stale.Load() != 1 {
		t.Errorf("the store was asked %d times, %d old values were seen", second.asked, second.stale.Load())
	}
}

func TestARedisRestoredFromAnOldSnapshotBringsNoRevokedKeyBack(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := open(t, r.URL())
	bringBack(t, c, func() {
		if err := r.Save(t.Context()); err != nil {
			t.Fatal(err)
		}
	}, func() {
		if err := r.RestoreSnapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		waitUntilBack(t, c, "test:k", 5*time.Second)
	})
}

func TestAFailoverToARedisThatNeverGotTheTombstoneBringsNoRevokedKeyBack(t *testing.T) {
	t.Parallel()
	s := startSentinel(t)
	c := open(t, s.URL())
	bringBack(t, c, func() {
		waitForValue(t, open(t, s.Replica.URL()), nil) // it has the good one
		s.Replica.Pause()
		if err := s.Master.Client().Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
			t.Fatal(err)
		}
	}, func() {
		s.Master.Kill()
		s.Replica.Resume()
		waitForMaster(t, s, s.Replica)
		waitUntilBack(t, c, "test:k", 5*time.Second)
	})
}

func waitForMaster(t *testing.T, s *testenv.Sentinel, want *testenv.Redis) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		role, err := want.Client().Do(t.Context(), "ROLE").Slice()
		named, namedErr := s.CurrentMaster(t.Context())
		if err == nil && role[0] == "master" && namedErr == nil && named == want.Addr {
			return
		}
		if time.Since(begin) > 8*time.Second {
			t.Fatalf("the replica is not the master: %v (%v), %s (%v)", role, err, named, namedErr)
		}
	}
}
