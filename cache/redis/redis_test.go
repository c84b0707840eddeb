package redis_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/authz/identity"
	"postern/cache"
	"postern/cache/cachetest"
	"postern/cache/redis"
	"postern/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, url string) *redis.Cache {
	t.Helper()
	c, err := redis.New(redis.Options{URL: identity.NewSecret(url)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func startRedis(t *testing.T, args ...string) *testenv.Redis {
	t.Helper()
	r, err := testenv.StartRedis(t.Context(), t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

func startCluster(t *testing.T) *testenv.RedisCluster {
	t.Helper()
	c, err := testenv.StartRedisCluster(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

func startSentinel(t *testing.T) *testenv.Sentinel {
	t.Helper()
	s, err := testenv.StartSentinel(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestRedisKeepsThePromisesOfASharedCache(t *testing.T) {
	r := startRedis(t)
	cachetest.Run(t, func(t testing.TB) cache.Shared { return open(t, r.URL()) })
}

func TestRedisClusterKeepsThePromisesOfASharedCache(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	cachetest.Run(t, func(t testing.TB) cache.Shared { return open(t, c.URL()) })
}

func TestRedisBehindSentinelsKeepsThePromisesOfASharedCache(t *testing.T) {
	t.Parallel()
	s := startSentinel(t)
	cachetest.Run(t, func(t testing.TB) cache.Shared { return open(t, s.URL()) })
}

func put(t *testing.T, c cache.Shared, key string, revision identity.Revision, value string) {
	t.Helper()
	if err := c.PutIfNewer(t.Context(), key, revision, []byte(value), time.Minute); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c cache.Shared, key, want string) {
	t.Helper()
	if value, found, err := c.Get(t.Context(), key); err != nil || !found || string(value) != want {
		t.Errorf("%s holds %q (found: %v), %v; want %q", key, value, found, err, want)
	}
}

func TestRedisIsReachedByASocketWithAPasswordInADatabase(t *testing.T) {
	socket := t.TempDir() + "/redis.sock"
	r := startRedis(t, "--requirepass", "p@ss/word", "--unixsocket", socket)
	for name, url := range map[string]string{
		"tcp":    "redis://:p%40ss%2Fword@" + r.Addr + "/3",
		"user":   "redis://default:p%40ss%2Fword@" + r.Addr + "/3",
		"socket": "unix://:p%40ss%2Fword@" + socket + "?db=3",
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, url)
			put(t, c, name, 1, "v")
			expect(t, c, name, "v")
		})
	}
	if err := r.Client().Do(t.Context(), "SELECT", 3).Err(); err != nil {
		t.Fatal(err)
	}
	if info, err := r.Client().Info(t.Context(), "keyspace").Result(); err != nil || !strings.Contains(info, "db3:keys=3") {
		t.Errorf("the values are not all in database 3: %q, %v", info, err)
	}
}

func TestWhatAnotherWroteIsFoundAndGivesWay(t *testing.T) {
	r := startRedis(t)
	c, foreign := open(t, r.URL()), r.Client()
	for key, write := range map[string]func() error{
		"short":         func() error { return foreign.Set(t.Context(), "short", "x", 0).Err() },
		"empty":         func() error { return foreign.Set(t.Context(), "empty", "", 0).Err() },
		"no revision":   func() error { return foreign.Set(t.Context(), "no revision", strings.Repeat("z", 40), 0).Err() },
		"a list":        func() error { return foreign.RPush(t.Context(), "a list", "x").Err() },
		"a hash":        func() error { return foreign.HSet(t.Context(), "a hash", "f", "v").Err() },
		"digits alone":  func() error { return foreign.Set(t.Context(), "digits alone", "999999999", 0).Err() },
		"a longer text": func() error { return foreign.Set(t.Context(), "a longer text", "9999999999999999999x", 0).Err() },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
		if _, found, err := c.Get(t.Context(), key); err != nil || !found {
			t.Errorf("%s: found %v, %v", key, found, err)
		}
		put(t, c, key, 1, "ours")
		expect(t, c, key, "ours")
	}
}

func TestAScriptThatTheServerForgotIsSentAgain(t *testing.T) {
	r := startRedis(t)
	c := open(t, r.URL())
	put(t, c, "k", 1, "v")
	if err := r.Client().ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	put(t, c, "k", 2, "w")
	expect(t, c, "k", "w")
}

// TestOnlyCommandsThatEveryRedisAllowsAreUsed lets a user of the server do no
// more than the cache needs.
func TestOnlyCommandsThatEveryRedisAllowsAreUsed(t *testing.T) {
	r := startRedis(t)
	if err := r.Client().Do(t.Context(), "ACL", "SETUSER", "postern", "on", ">pw", "~*", "-@all",
		"+get", "+set", "+getrange", "+evalsha", "+eval").Err(); err != nil {
		t.Fatal(err)
	}
	c := open(t, "redis://postern:pw@"+r.Addr)
	put(t, c, "k", 1, "v")
	expect(t, c, "k", "v")
}

func TestErrorsShowNoPasswordAndNoValue(t *testing.T) {
	r := startRedis(t, "--requirepass", "sesame", "--rename-command", "EVALSHA", "", "--rename-command", "GET", "")
	ctx := t.Context()
	right, wrong := open(t, "redis://:sesame@"+r.Addr), open(t, "redis://:opensesame@"+r.Addr)
	nobody := open(t, "redis://:opensesame@127.0.0.1:1")
	for name, ask := range map[string]func() error{
		"a command that is not known": func() error { return right.PutIfNewer(ctx, "the-key", 1, []byte("the-value"), time.Minute) },
		"a look-up that is not known": func() error { _, _, err := right.Get(ctx, "the-key"); return err },
		"a wrong password":            func() error { _, _, err := wrong.Get(ctx, "the-key"); return err },
		"nobody there":                func() error { _, _, err := nobody.Get(ctx, "the-key"); return err },
		"a liar's number":             func() error { _, _, err := open(t, "redis://:sesame@"+liar(t, "!")).Get(ctx, "the-key"); return err },
		"a liar's nonsense":           func() error { _, _, err := open(t, "redis://:sesame@"+liar(t, "?")).Get(ctx, "the-key"); return err },
	} {
		err := ask()
		if err == nil || !strings.HasPrefix(err.Error(), "redis: ") {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, secret := range []string{"sesame", "the-key", "the-value"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %q shows %s", name, err, secret)
			}
		}
		t.Log(err)
	}
}

// liar is a server that says what nobody may repeat.
func liar(t *testing.T, kind string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Write([]byte(kind + "sesame the-value\r\n"))
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func TestADeadlineEndsALookUp(t *testing.T) {
	r := startRedis(t)
	c := open(t, r.URL())
	put(t, c, "k", 1, "v")
	r.Pause()
	defer r.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, _, err := c.Get(ctx, "k")
	if took := time.Since(begin); !isTimeout(err) || took > 200*time.Millisecond {
		t.Errorf("after %v: %v", took, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

func TestACacheThatIsClosedAnswersNothing(t *testing.T) {
	r := startRedis(t)
	c, err := redis.New(redis.Options{URL: identity.NewSecret(r.URL())})
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, "k", 1, "v")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, found, err := c.Get(t.Context(), "k"); err == nil || found {
		t.Errorf("found %v, %v", found, err)
	}
}
