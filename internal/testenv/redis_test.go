package testenv_test

import (
	"testing"
	"time"

	"postern/internal/testenv"
)

func startRedis(t *testing.T, args ...string) *testenv.Redis {
	t.Helper()
	begin := time.Now()
	r, err := testenv.StartRedis(t.Context(), t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	t.Logf("a redis in %v", time.Since(begin))
	return r
}

func set(t *testing.T, r *testenv.Redis, key, value string, life time.Duration) {
	t.Helper()
	if err := r.Client().Set(t.Context(), key, value, life).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestRedisIsKilledAndComesBackOnItsPortWithNothing(t *testing.T) {
	r := startRedis(t, "--requirepass", "open sesame")
	set(t, r, "k", "v", 0)
	r.Kill()
	if err := r.Client().Get(t.Context(), "k").Err(); err == nil {
		t.Fatal("a killed server answers")
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Client().DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("%d values, %v", n, err)
	}
}

func TestRedisIsRestoredToItsSnapshot(t *testing.T) {
	r := startRedis(t)
	set(t, r, "k", "old", time.Hour)
	set(t, r, "brief", "v", time.Millisecond)
	if err := r.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(t, r, "k", "new", time.Hour)
	time.Sleep(5 * time.Millisecond)
	if err := r.RestoreSnapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Client().Get(t.Context(), "k").Result(); err != nil || v != "old" {
		t.Errorf("restored: %q, %v", v, err)
	}
	if v, err := r.Client().Get(t.Context(), "brief").Result(); err == nil {
		t.Errorf("what had ended is back: %q", v)
	}
	r.Kill()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Client().DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("a start that restores nothing finds %d values, %v", n, err)
	}
}

func TestRedisIsPausedAndResumed(t *testing.T) {
	r := startRedis(t)
	set(t, r, "k", "v", 0)
	r.Pause()
	answered := make(chan error, 1)
	go func() { answered <- r.Client().Get(t.Context(), "k").Err() }()
	select {
	case err := <-answered:
		t.Fatalf("a paused server answers: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	r.Resume()
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestRedisClusterServesOnWithoutOneOfItsNodes(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	c, err := testenv.StartRedisCluster(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	t.Logf("a cluster in %v", time.Since(begin))
	c.Nodes[2].Kill()
	kept := map[string]*testenv.Redis{"b": c.Nodes[0], "c": c.Nodes[1]} // in the slots 3300 and 7365
	for begin := time.Now(); time.Since(begin) < 2*time.Second; time.Sleep(50 * time.Millisecond) {
		for key, node := range kept {
			if err := node.Client().Set(t.Context(), key, "v", 0).Err(); err != nil {
				t.Fatalf("%v after the loss: %v", time.Since(begin), err)
			}
		}
	}
}

func TestSentinelsReplaceAMasterThatWasKilled(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	s, err := testenv.StartSentinel(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	t.Logf("a master with its replica and sentinels in %v", time.Since(begin))
	if have, err := s.CurrentMaster(t.Context()); err != nil || have != s.Master.Addr {
		t.Fatalf("the master is %q, %v", have, err)
	}
	begin = time.Now()
	s.Master.Kill()
	for {
		if err := s.Replica.Client().Set(t.Context(), "k", "v", 0).Err(); err == nil {
			break
		} else if time.Since(begin) > 20*time.Second {
			t.Fatalf("the replica still takes no writes: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("replaced after %v", time.Since(begin))
	for time.Since(begin) < 20*time.Second {
		if have, err := s.CurrentMaster(t.Context()); err == nil && have == s.Replica.Addr {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the sentinels do not name the replica as their master")
}
