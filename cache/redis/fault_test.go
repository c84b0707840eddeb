package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/cache"
	"postern/internal/testenv"
)

// deadline is how long a look-up may take, as configured by default.
const deadline = 50 * time.Millisecond

// scheduling is what a busy machine may add to a deadline.
const scheduling = 200 * time.Millisecond

func guard(t *testing.T, shared cache.Shared) *cache.Breaker {
	t.Helper()
	b, err := cache.NewBreaker(shared, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// look asks as a tier does, and says how long it took.
func look(t *testing.T, c cache.Shared, key string) (bool, time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	begin := time.Now()
	_, found, err := c.Get(ctx, key)
	return found, time.Since(begin), err
}

// failUntilOpen looks until the breaker is open. No look-up outlasts its deadline.
func failUntilOpen(t *testing.T, b *cache.Breaker) {
	t.Helper()
	for i := range 5 {
		_, took, err := look(t, b, "k")
		if err == nil || took > deadline+scheduling {
			t.Fatalf("look-up %d in the outage: %v after %v", i, err, took)
		}
	}
	if b.State() != cache.BreakerOpen {
		t.Fatalf("after five failures the breaker is %s", b.State())
	}
}

// expectNoCost looks often while the breaker is open: the median is that of one
// look-up, not of the machine.
func expectNoCost(t *testing.T, b *cache.Breaker) {
	t.Helper()
	var took []time.Duration
	for range 200 {
		found, one, err := look(t, b, "k")
		if !errors.Is(err, cache.ErrOpen) || found {
			t.Fatalf("while open: found %v, %v", found, err)
		}
		took = append(took, one)
	}
	slices.Sort(took)
	t.Logf("a look-up while open: median %v, largest %v", took[100], took[199])
	if took[100] > time.Millisecond {
		t.Errorf("a look-up costs %v", took[100])
	}
}

// waitUntilBack looks until the cache answers again.
func waitUntilBack(t *testing.T, c cache.Shared, key string, bound time.Duration) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		_, _, err := look(t, c, key)
		if err == nil {
			t.Logf("back after %v", time.Since(begin).Round(time.Millisecond))
			return
		}
		if time.Since(begin) > bound {
			t.Fatalf("not back after %v: %v", bound, err)
		}
	}
}

func TestAKilledRedisCostsNothingAndIsAskedAgainOnceItIsBack(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	b := guard(t, open(t, r.URL()))
	put(t, b, "k", 1, "v")
	r.Kill()
	failUntilOpen(t, b)
	expectNoCost(t, b)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntilBack(t, b, "k", 5*time.Second)
	if _, found, err := b.Get(t.Context(), "k"); found || err != nil {
		t.Errorf("after a restart without data: found %v, %v", found, err)
	}
	put(t, b, "k", 1, "v")
	expect(t, b, "k", "v")
}

func TestASlowRedisIsGivenUpAtTheDeadlineAndThenLeftAlone(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	p, err := testenv.NewProxy(r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	b := guard(t, open(t, "redis://"+p.Addr))
	put(t, b, "k", 1, "v")
	if err := p.Latency(2 * time.Second); err != nil {
		t.Fatal(err)
	}
	failUntilOpen(t, b)
	expectNoCost(t, b)
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	waitUntilBack(t, b, "k", 5*time.Second)
	expect(t, b, "k", "v")
}

func TestACutConnectionIsMadeAnew(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	p, err := testenv.NewProxy(r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	b := guard(t, open(t, "redis://"+p.Addr))
	put(t, b, "k", 1, "v")
	p.Cut()
	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	waitUntilBack(t, b, "k", 2*time.Second)
	expect(t, b, "k", "v")
}

func TestALostClusterNodeTakesOnlyItsOwnKeysAlong(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.URL())
	keys := map[string]*testenv.Redis{"b": cluster.Nodes[0], "c": cluster.Nodes[1], "a": cluster.Nodes[2]} // slots 3300, 7365, 15495
	for key, node := range keys {
		put(t, c, key, 1, key)
		if n, err := node.Client().Exists(t.Context(), key).Result(); err != nil || n != 1 {
			t.Fatalf("%s is not where the test needs it: %v", key, err)
		}
	}
	cluster.Nodes[2].Kill()
	lost := 0
	for begin := time.Now(); time.Since(begin) < 2*time.Second; time.Sleep(20 * time.Millisecond) {
		for _, key := range []string{"b", "c"} {
			if _, found, err := c.Get(t.Context(), key); err != nil || !found {
				t.Fatalf("%s on a node that lives: found %v, %v", key, found, err)
			}
		}
		if found, took, err := look(t, c, "a"); err == nil || found || took > deadline+scheduling {
			t.Fatalf("a on the lost node: found %v, %v after %v", found, err, took)
		}
		lost++
	}
	t.Logf("%d look-ups on the lost node failed within their deadline", lost)
	if err := cluster.Nodes[2].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntilBack(t, c, "a", 15*time.Second)
	put(t, c, "a", 1, "again")
	expect(t, c, "a", "again")
}

func TestWritesGoOnAfterASentinelFailover(t *testing.T) {
	t.Parallel()
	s := startSentinel(t)
	b := guard(t, open(t, s.URL()))
	put(t, b, "k", 1, "v")
	begin := time.Now()
	s.Master.Kill()
	for i := 2; ; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		err := b.PutIfNewer(ctx, "k", 2, []byte(fmt.Sprint(i)), time.Minute)
		cancel()
		if err == nil {
			expect(t, b, "k", fmt.Sprint(i))
			break
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatalf("no write after %v: %v", time.Since(begin), err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("writes go on after %v", time.Since(begin).Round(time.Millisecond))
	if n, err := s.Replica.Client().Exists(t.Context(), "k").Result(); err != nil || n != 1 {
		t.Errorf("the new master does not hold what was written: %v", err)
	}
}
