package drill_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/testenv"
)

// endure keeps the traffic up while something happens for a while and is put
// right, and revokes and creates keys meanwhile. No answer may be wrong, and every
// replica must be well again soon.
func (tr *traffic) endure(t *testing.T, hold time.Duration, strike, heal func(t *testing.T)) *tally {
	t.Helper()
	tr.phase()
	stop := tr.churn()
	began := time.Now()
	strike(t)
	time.Sleep(hold)
	heal(t)
	lasted := time.Since(began)
	recovery := tr.waitUntilWell(t, 30*time.Second)
	time.Sleep(either(200*time.Millisecond, 2*time.Second))
	churned := stop()
	count := tr.phase()
	t.Logf("%s: %v; lasted %v, well again after %v; meanwhile %s",
		t.Name()[strings.LastIndex(t.Name(), "/")+1:], count, lasted.Round(10*time.Millisecond), recovery.Round(10*time.Millisecond), churned)
	count.expect(t)
	tr.refill()
	return count
}

// spare keeps the traffic up while only Redis fails: the store knows everything,
// so that nobody may be told that nothing is known.
func (tr *traffic) spare(t *testing.T, hold time.Duration, strike, heal func(t *testing.T)) {
	t.Helper()
	if count := tr.endure(t, hold, strike, heal); count.counts[unavailable] > 0 {
		t.Errorf("%d answers were 503 while only Redis failed", count.counts[unavailable])
	}
}

// nothing is what some faults need: they pass by themselves.
func nothing(*testing.T) {}

// churn revokes a key four times a second and makes another, and tries again what
// fails, until the returned function is called.
func (tr *traffic) churn() (stop func() string) {
	asking, cancel := context.WithCancel(tr.fleet.ctx)
	var revoked, everywhere, failed atomic.Int64
	var loop sync.WaitGroup
	loop.Go(func() {
		pace(asking, 4, func() func() {
			k := tr.ring.take()
			if k == nil {
				return func() {}
			}
			return func() {
				for {
					done, err := tr.fleet.revoke(asking, tr.fleet.any(), k)
					if err == nil {
						revoked.Add(1)
						if c := done.confirmation; c.GetReplicas() > 0 && c.GetInForce() == c.GetReplicas() {
							everywhere.Add(1)
						}
						break
					}
					if asking.Err() != nil {
						return
					}
					failed.Add(1)
					time.Sleep(100 * time.Millisecond)
				}
				for _, r := range tr.fleet.replicas {
					tr.try(tr.current(), r, k, patience)
				}
				if successor, err := tr.fleet.create(); err == nil {
					tr.ring.add(successor)
				}
			}
		})
	})
	return func() string {
		cancel()
		loop.Wait()
		return fmt.Sprintf("%d revoked, %d of them confirmed everywhere, %d attempts failed", revoked.Load(), everywhere.Load(), failed.Load())
	}
}

// refill makes keys in the place of those that were revoked while none could be
// made. It does not wait: an answer may take as long as a dead replica counts.
func (tr *traffic) refill() {
	for range keys - tr.ring.size() {
		tr.background.Go(func() {
			if k, err := tr.fleet.create(); err == nil {
				tr.ring.add(k)
			}
		})
	}
}

// waitUntilWell waits until every replica allows a key and refuses an unknown one.
func (tr *traffic) waitUntilWell(t *testing.T, bound time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for _, r := range tr.fleet.replicas {
		for {
			a := tr.try(tr.current(), r, unknown(), patience)
			b := tr.try(tr.current(), r, tr.ring.first(), patience)
			if a.status == 401 && (b.status == 200 || b.status == 401) {
				break
			}
			if time.Since(began) > bound {
				t.Fatalf("%s is not well %v after the fault: it answers %d %s and %d %s", r.name, bound, a.status, a.reason, b.status, b.reason)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return time.Since(began)
}

func TestNoAnswerIsWrongWhileSomethingFails(t *testing.T) {
	redis, name := startRedis(t), database(t)
	f := startFleet(t, setup{replicas: 3, store: rig.postgres.URL(name), cache: redis.URL(), proxied: true})
	tr := startTraffic(f)
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	each := func(change func(*replica) error) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			for _, r := range f.replicas {
				must(t, change(r))
			}
		}
	}
	brief, long := either(time.Second, 5*time.Second), either(1500*time.Millisecond, 10*time.Second)

	t.Run("redis killed and restarted", func(t *testing.T) {
		tr.spare(t, brief, func(*testing.T) { redis.Kill() }, func(t *testing.T) { must(t, redis.Start(t.Context())) })
	})
	t.Run("redis 2 s slow", func(t *testing.T) {
		tr.spare(t, long, each(func(r *replica) error { return r.redis.Latency(2 * time.Second) }), each(func(r *replica) error { return r.redis.Heal() }))
	})
	t.Run("redis flushed", func(t *testing.T) {
		tr.spare(t, brief, func(t *testing.T) { must(t, redis.Flush(t.Context())) }, nothing)
	})
	t.Run("redis restored from before a revocation", func(t *testing.T) {
		tr.spare(t, brief, func(t *testing.T) { restoreBeforeRevocation(t, tr, redis) }, nothing)
	})
	t.Run("postgres restarted", func(t *testing.T) {
		tr.endure(t, brief, func(t *testing.T) { must(t, rig.postgres.Restart(t.Context())) }, nothing)
	})
	t.Run("postgres 2 s slow", func(t *testing.T) {
		tr.endure(t, long, each(func(r *replica) error { return r.postgres.Latency(2 * time.Second) }), each(func(r *replica) error { return r.postgres.Heal() }))
	})
	t.Run("postgres out of connections", func(t *testing.T) {
		var release func()
		tr.endure(t, long, func(t *testing.T) { release = exhaustConnections(t, name) }, func(*testing.T) { release() })
	})
	t.Run("one replica cut off from postgres", func(t *testing.T) {
		tr.endure(t, long, func(*testing.T) { f.replicas[2].postgres.Cut() }, func(t *testing.T) { must(t, f.replicas[2].postgres.Heal()) })
	})
	t.Run("a replica killed", func(t *testing.T) {
		tr.endure(t, brief, func(*testing.T) { f.replicas[1].kill() }, func(*testing.T) { f.replicas[1].start() })
	})
}

// restoreBeforeRevocation brings Redis back to where a key was good that has been
// revoked since, and asks everybody, one replica that has just been started too.
func restoreBeforeRevocation(t *testing.T, tr *traffic, redis *testenv.Redis) {
	t.Helper()
	f := tr.fleet
	k, err := f.create()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.replicas {
		if a := tr.try(tr.current(), r, k, patience); a.status != 200 {
			t.Errorf("%s answers %d %s", r.name, a.status, a.reason)
		}
	}
	time.Sleep(100 * time.Millisecond) // the write to Redis comes after the answer
	if err := redis.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.revoke(f.ctx, f.any(), k); err != nil {
		t.Fatal(err)
	}
	if err := redis.RestoreSnapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.replicas[0].kill()
	f.replicas[0].start()
	for range 10 {
		for _, r := range f.replicas {
			tr.try(tr.current(), r, k, patience)
		}
	}
	if k.refused.IsZero() {
		t.Error("the revocation was not confirmed")
	}
}

// exhaustConnections takes every connection that PostgreSQL has, the replicas'
// own too, until the returned function is called.
func exhaustConnections(t *testing.T, database string) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	first, err := pgx.Connect(ctx, rig.postgres.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	taken := []*pgx.Conn{first}
	full := make(chan struct{})
	var taking sync.WaitGroup
	taking.Go(func() {
		defer cancel()
		for signal := sync.OnceFunc(func() { close(full) }); ctx.Err() == nil; {
			conn, err := pgx.Connect(ctx, rig.postgres.URL("postgres"))
			if err == nil {
				taken = append(taken, conn)
				continue
			}
			signal()
			_, _ = first.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, database)
		}
	})
	select {
	case <-full:
	case <-time.After(20 * time.Second):
		t.Error("PostgreSQL still had connections after 20 s")
	}
	return func() {
		cancel()
		taking.Wait()
		for _, conn := range taken {
			_ = conn.Close(context.Background())
		}
	}
}

func TestNoAnswerIsWrongWhenPostgresFailsOverToItsStandby(t *testing.T) {
	t.Parallel()
	first, err := testenv.StartPostgres(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	const name = "postern"
	if err := first.CreateDatabase(t.Context(), name, ""); err != nil {
		t.Fatal(err)
	}
	if err := migrate(t.Context(), first.URL(name)); err != nil {
		t.Fatal(err)
	}
	standby, err := first.StartStandby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Stop() })
	t.Cleanup(func() { _ = first.Stop() }) // before the standby
	tr := startTraffic(startFleet(t, setup{replicas: 3, store: first.URL(name, standby)}))
	tr.endure(t, either(time.Second, 10*time.Second), func(t *testing.T) {
		began := time.Now()
		first.Kill()
		if err := standby.Promote(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("the standby took over after %v", time.Since(began).Round(10*time.Millisecond))
	}, nothing)
}

func TestNoAnswerIsWrongWhenARedisClusterLosesANode(t *testing.T) {
	t.Parallel()
	cluster, err := testenv.StartRedisCluster(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Stop)
	tr := startTraffic(startFleet(t, setup{replicas: 3, store: rig.postgres.URL(database(t)), cache: cluster.URL()}))
	tr.spare(t, either(2*time.Second, 10*time.Second), func(*testing.T) { cluster.Nodes[2].Kill() }, nothing)
}

// The new master never got the tombstone: it was asleep when it was written.
func TestNoAnswerIsWrongWhenSentinelsReplaceRedisByAReplicaThatMissedARevocation(t *testing.T) {
	t.Parallel()
	sentinel, err := testenv.StartSentinel(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sentinel.Stop)
	f := startFleet(t, setup{replicas: 3, store: rig.postgres.URL(database(t)), cache: sentinel.URL()})
	tr := startTraffic(f)
	k, err := f.create()
	if err != nil {
		t.Fatal(err)
	}
	tr.spare(t, either(time.Second, 5*time.Second), func(t *testing.T) {
		for _, r := range f.replicas {
			tr.try(tr.current(), r, k, patience)
		}
		time.Sleep(100 * time.Millisecond) // the write to Redis comes after the answer
		sentinel.Replica.Pause()
		if _, err := f.revoke(f.ctx, f.any(), k); err != nil {
			t.Error(err)
		}
		sentinel.Master.Kill()
		sentinel.Replica.Resume()
		for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			if master, err := sentinel.CurrentMaster(t.Context()); err == nil && master == sentinel.Replica.Addr {
				break
			} else if time.Since(began) > 20*time.Second {
				t.Fatalf("the master is %q, %v", master, err)
			}
		}
		f.replicas[0].kill()
		f.replicas[0].start()
		for range 10 {
			for _, r := range f.replicas {
				tr.try(tr.current(), r, k, patience)
			}
		}
	}, nothing)
}
