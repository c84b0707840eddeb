package drill_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/testenv"
)

// The times that are promised for a confirmation on loopback.
const (
	promisedMedian = 20 * time.Millisecond
	promised99     = 200 * time.Millisecond
)

// revocations are a drill's: how many keys, how many a second, and how they came
// into force.
type revocations struct {
	mu       sync.Mutex
	elapsed  []time.Duration // from the commit until in force everywhere
	calls    []time.Duration // from the request until the answer
	partial  int             // not in force everywhere when the answer came
	failures []error
}

// run revokes keys at random, makes another for each, and asks every replica at
// once for both: the one must be refused, the other allowed.
func (rs *revocations) run(tr *traffic, number int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var left atomic.Int64
	left.Store(int64(number))
	pace(ctx, either(20, 10), func() func() {
		n := left.Add(-1)
		if n == 0 {
			cancel()
		}
		if n < 0 {
			return func() {}
		}
		return func() { rs.one(tr, tr.ring.take()) }
	})
}

func (rs *revocations) one(tr *traffic, k *key) {
	f := tr.fleet
	done, err := f.revoke(f.ctx, f.any(), k)
	var successor *key
	if err == nil {
		for _, r := range f.replicas {
			tr.try(tr.current(), r, k, patience)
		}
		successor, err = f.create()
	}
	if err == nil {
		for _, r := range f.replicas {
			tr.try(tr.current(), r, successor, patience)
		}
		tr.ring.add(successor)
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	switch c := done.confirmation; {
	case err != nil:
		rs.failures = append(rs.failures, err)
	case c.GetInForce() == int32(len(f.replicas)) && c.GetReplicas() == c.GetInForce():
		rs.elapsed = append(rs.elapsed, c.GetElapsed().AsDuration())
		rs.calls = append(rs.calls, done.took)
	default:
		rs.partial++
	}
}

// String is the figures in one line.
func (rs *revocations) String() string {
	return fmt.Sprintf("%3d confirmed: p50 %v p99 %v (the whole call: p50 %v p99 %v), %d partly, %d failed",
		len(rs.elapsed), percentile(rs.elapsed, 50), percentile(rs.elapsed, 99), percentile(rs.calls, 50), percentile(rs.calls, 99), rs.partial, len(rs.failures))
}

// expect fails the test unless all were confirmed everywhere.
func (rs *revocations) expect(t *testing.T) {
	t.Helper()
	if rs.partial > 0 || len(rs.failures) > 0 {
		t.Errorf("%d revocations were not in force everywhere, %d failed: %v", rs.partial, len(rs.failures), rs.failures)
	}
}

func startRedis(t *testing.T) *testenv.Redis {
	t.Helper()
	r, err := testenv.StartRedis(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

func TestNoReplicaAllowsAKeyAfterItsConfirmedRevocation(t *testing.T) {
	redis, name := startRedis(t), database(t)
	f := startFleet(t, setup{replicas: 3, store: rig.postgres.URL(name), cache: redis.URL()})
	tr := startTraffic(f)
	number := either(40, 200)
	drill := func(what string, expect func(*testing.T, *revocations), around func(*testing.T, func())) {
		t.Run(what, func(t *testing.T) {
			tr.phase()
			rs := &revocations{}
			around(t, func() { rs.run(tr, number) })
			count := tr.phase()
			t.Logf("%s: %v; %v", what, rs, count)
			count.expect(t)
			expect(t, rs)
		})
	}
	everywhere := func(t *testing.T, rs *revocations) { t.Helper(); rs.expect(t) }
	drill("in quiet", func(t *testing.T, rs *revocations) {
		rs.expect(t)
		if whole() && (percentile(rs.elapsed, 50) > promisedMedian || percentile(rs.elapsed, 99) > promised99) {
			t.Errorf("the confirmations took longer than the promised p50 %v and p99 %v", promisedMedian, promised99)
		}
	}, func(_ *testing.T, run func()) { run() })
	drill("redis killed in the middle", everywhere, func(t *testing.T, run func()) {
		timer := time.AfterFunc(either(time.Second, 10*time.Second), redis.Kill)
		run()
		timer.Stop()
		if err := redis.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	drill("notifications cut", everywhere, func(t *testing.T, run func()) {
		stop := cutNotifications(t, name)
		run()
		cut := stop()
		t.Logf("connections that listened and were cut: %d", cut)
		if cut < either(10, 100) {
			t.Error("that is hardly a fault")
		}
	})
	t.Run("a replica stopped for a moment", func(t *testing.T) { revokeBesideAPause(t, tr) })
	t.Run("a replica stopped", func(t *testing.T) { revokeBesideAStoppedReplica(t, tr) })
}

// cutNotifications ends every connection that listens, again and again, until the
// returned function is called, which says how many.
func cutNotifications(t *testing.T, database string) func() int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), rig.postgres.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		cut := 0
		for ctx.Err() == nil {
			tag, err := conn.Exec(context.Background(),
				`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND query ILIKE 'listen%'`, database)
			if err == nil {
				cut += int(tag.RowsAffected())
			}
			time.Sleep(20 * time.Millisecond)
		}
		_ = conn.Close(context.Background())
		ended <- cut
	}()
	return func() int { cancel(); return <-ended }
}

// revokeBesideAPause: a pause that is shorter than the lease delays the answer,
// and what the replica still believes when it goes on is not served after it.
func revokeBesideAPause(t *testing.T, tr *traffic) {
	f := tr.fleet
	stopped, other := f.replicas[len(f.replicas)-1], f.replicas[0]
	tr.phase()
	stopped.pause()
	var revoking sync.WaitGroup
	for range 5 {
		revoking.Go(func() {
			k := tr.ring.take()
			done, err := f.revoke(f.ctx, other, k)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				tr.try(tr.current(), stopped, k, patience)
			}
			if c := done.confirmation; c.GetInForce() != int32(len(f.replicas)) || done.took < 500*time.Millisecond {
				t.Errorf("beside a replica that paused for a second: %s", c.GetSummary())
			}
		})
	}
	time.Sleep(time.Second)
	stopped.resume()
	revoking.Wait()
	count := tr.phase()
	t.Log(count)
	count.expect(t)
}

// revokeBesideAStoppedReplica: the answer names the one that does not answer and
// the end of its lease; when it goes on it does not allow what was revoked.
func revokeBesideAStoppedReplica(t *testing.T, tr *traffic) {
	f := tr.fleet
	stopped, others := f.replicas[len(f.replicas)-1], f.replicas[:len(f.replicas)-1]
	tr.phase()
	first, second, third := tr.ring.take(), tr.ring.take(), tr.ring.take()
	for _, k := range []*key{first, second, third} {
		tr.try(tr.current(), stopped, k, patience) // it has them in its cache now
	}
	stopped.pause()
	began := time.Now()
	var done [2]revocation
	var both sync.WaitGroup
	for i, k := range []*key{first, second} {
		both.Go(func() {
			var err error
			if done[i], err = f.revoke(f.ctx, others[i%len(others)], k); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	var until time.Time
	for _, one := range done {
		c := one.confirmation
		t.Logf("after %v: %s", one.took.Round(time.Millisecond), c.GetSummary())
		if len(c.GetPending()) != 1 || c.GetInForce() != int32(len(others)) {
			t.Fatalf("the answer says %v", c)
		}
		if named, want := c.GetPending()[0].GetId(), *stopped.id.Load(); named != want {
			t.Errorf("the answer names %q, and %q was stopped", named, want)
		}
		until = c.GetPending()[0].GetMayAllowUntil().AsTime()
		if !until.After(began) || until.Sub(began) > 6*time.Second {
			t.Errorf("its lease is said to end %v after it was stopped", until.Sub(began))
		}
	}
	// When its lease has ended it does not count any more. What is asked while it is
	// stopped is answered when it goes on.
	time.Sleep(time.Until(until) + 100*time.Millisecond)
	alone, err := f.revoke(f.ctx, others[0], third)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("after its lease: %s", alone.confirmation.GetSummary())
	if c := alone.confirmation; c.GetInForce() != int32(len(others)) || c.GetReplicas() != c.GetInForce() {
		t.Errorf("the answer says %v", c)
	}
	var waiting sync.WaitGroup
	for range 20 {
		for _, k := range []*key{first, second, third} {
			waiting.Go(func() {
				if a := tr.try(tr.current(), stopped, k, 20*time.Second); a.status == 200 {
					t.Error("a replica that was stopped allows a revoked key")
				}
			})
		}
	}
	time.Sleep(100 * time.Millisecond)
	stopped.resume()
	waiting.Wait()
	fourth := tr.ring.take()
	late, err := f.revoke(f.ctx, others[0], fourth)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.replicas {
		tr.try(tr.current(), r, fourth, patience)
	}
	t.Logf("when it goes on: %s", late.confirmation.GetSummary())
	count := tr.phase()
	t.Log(count)
	count.expect(t)
}
