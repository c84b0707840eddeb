// Package cachetest is what a shared cache must keep, one test for each promise
// of cache.Shared. It knows no engine.
package cachetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/cache"
)

// Run tests an engine. What open returns may be the same cache each time, with
// values of others in it; open registers its own clean-up.
func Run(t *testing.T, open func(testing.TB) cache.Shared) {
	for name, test := range map[string]func(*testing.T, bench){
		"a key that was never written is not found":                neverWritten,
		"a value is found as it was written":                       foundAsWritten,
		"a value of a larger revision overwrites":                  newerWins,
		"a value of a smaller revision changes nothing":            olderNeverOverwrites,
		"a value of the same revision overwrites":                  equalOverwrites,
		"revisions are compared as numbers up to the largest":      comparedAsNumbers,
		"of writers at the same time the largest revision remains": largestRemains,
		"a value ends with its time to live":                       timeToLive,
		"an overwriting value has a time to live of its own":       ownTimeToLive,
		"a value that never lived is refused":                      noTimeToLive,
		"a tombstone is a value":                                   tombstone,
		"keys differ byte for byte":                                keysAreExact,
		"any bytes up to 64 KiB are kept":                          anyBytes,
		"a context that has ended is an error":                     endedContext,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, bench{shared: open(t), prefix: "cachetest:" + t.Name() + ":" + fmt.Sprint(rand.Uint64()) + ":"})
		})
	}
}

// bench is a cache and a corner of it that nobody else writes to.
type bench struct {
	shared cache.Shared
	prefix string
}

const minute = time.Minute

func (b bench) put(t *testing.T, key string, revision identity.Revision, value string, ttl time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := b.shared.PutIfNewer(ctx, b.prefix+key, revision, []byte(value), ttl); err != nil {
		t.Fatalf("write %q: %v", key, err)
	}
}

func (b bench) get(t *testing.T, key string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	value, found, err := b.shared.Get(ctx, b.prefix+key)
	if err != nil {
		t.Fatalf("look up %q: %v", key, err)
	}
	return string(value), found
}

func (b bench) expect(t *testing.T, key, want string) {
	t.Helper()
	if value, found := b.get(t, key); !found || value != want {
		t.Errorf("%q holds %.80q (found: %v), want %.80q", key, value, found, want)
	}
}

func (b bench) expectNothing(t *testing.T, key string) {
	t.Helper()
	if value, found := b.get(t, key); found || value != "" {
		t.Errorf("%q holds %.80q (found: %v), want nothing", key, value, found)
	}
}

func neverWritten(t *testing.T, b bench) { b.expectNothing(t, "k") }

func foundAsWritten(t *testing.T, b bench) {
	b.put(t, "k", 1, "value", minute)
	b.expect(t, "k", "value")
	b.expect(t, "k", "value")
}

func newerWins(t *testing.T, b bench) {
	b.put(t, "k", 1, "old", minute)
	b.put(t, "k", 2, "new", minute)
	b.expect(t, "k", "new")
}

func olderNeverOverwrites(t *testing.T, b bench) {
	b.put(t, "k", 2, "new", minute)
	b.put(t, "k", 1, "old", minute)
	b.put(t, "k", 0, "older", minute)
	b.expect(t, "k", "new")
}

func equalOverwrites(t *testing.T, b bench) {
	b.put(t, "k", 2, "first", minute)
	b.put(t, "k", 2, "second", minute)
	b.expect(t, "k", "second")
}

// comparedAsNumbers finds a comparison as text, as signed numbers or as floating
// point, which tells the largest neighbours from one another no more.
func comparedAsNumbers(t *testing.T, b bench) {
	rising := []identity.Revision{0, 9, 10, 99, 100, 1<<31 - 1, 1 << 31, 1<<53 - 1, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}
	for i, revision := range rising {
		b.put(t, "k", revision, fmt.Sprint(revision), minute)
		for _, older := range rising[:i] {
			b.put(t, "k", older, "old", minute)
		}
		b.expect(t, "k", fmt.Sprint(revision))
	}
}

func largestRemains(t *testing.T, b bench) {
	const writers, writes = 16, 40
	var largest identity.Revision
	revisions := make([][]identity.Revision, writers)
	for i := range revisions {
		for range writes {
			revision := identity.Revision(rand.Uint64())
			revisions[i] = append(revisions[i], revision)
			largest = max(largest, revision)
		}
	}
	var wg sync.WaitGroup
	for _, mine := range revisions {
		wg.Go(func() {
			for _, revision := range mine {
				if err := b.shared.PutIfNewer(t.Context(), b.prefix+"k", revision, []byte(fmt.Sprint(revision)), minute); err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.expect(t, "k", fmt.Sprint(largest))
}

// waitForEnd waits until a key holds nothing, and fails when it still does after
// far more than a time to live.
func (b bench) waitForEnd(t *testing.T, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		if _, found := b.get(t, key); !found {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%q never ends", key)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func timeToLive(t *testing.T, b bench) {
	b.put(t, "brief", 9, "v", 200*time.Millisecond)
	b.put(t, "long", 9, "v", minute)
	b.waitForEnd(t, "brief")
	b.expectNothing(t, "brief")
	b.expect(t, "long", "v")
	b.put(t, "brief", 1, "after", minute) // what has ended stands in nobody's way
	b.expect(t, "brief", "after")
}

func ownTimeToLive(t *testing.T, b bench) {
	b.put(t, "shortened", 1, "v", minute)
	b.put(t, "shortened", 2, "v", 200*time.Millisecond)
	b.put(t, "lengthened", 1, "v", 200*time.Millisecond)
	b.put(t, "lengthened", 2, "v", minute)
	b.put(t, "refused", 2, "v", 200*time.Millisecond)
	b.put(t, "refused", 1, "v", minute)
	b.waitForEnd(t, "shortened")
	b.waitForEnd(t, "refused")
	b.expect(t, "lengthened", "v")
}

func noTimeToLive(t *testing.T, b bench) {
	for _, ttl := range []time.Duration{0, -time.Second} {
		if err := b.shared.PutIfNewer(t.Context(), b.prefix+"k", 1, []byte("v"), ttl); err == nil {
			t.Errorf("a time to live of %v is accepted", ttl)
		}
	}
	b.expectNothing(t, "k")
	b.put(t, "k", 1, "v", time.Nanosecond) // the least is no error, whatever the engine's unit
}

func tombstone(t *testing.T, b bench) {
	b.put(t, "k", 1, "value", minute)
	b.put(t, "k", 2, "", minute)
	b.expect(t, "k", "")
	b.put(t, "k", 1, "a slow fill", minute)
	b.expect(t, "k", "")
}

func keysAreExact(t *testing.T, b bench) {
	keys := []string{"", "k", "K", "k ", " k", "k\x00", "k\x00k", "k\n", "k\r\n", "é", "e\u0301", "\xff\xfe", "{k}", "{k}k", "k*", strings.Repeat("k", 500)}
	for i, key := range keys {
		b.put(t, key, 1, fmt.Sprint(i), minute)
	}
	for i, key := range keys {
		b.expect(t, key, fmt.Sprint(i))
	}
	b.expectNothing(t, "k?")
}

func anyBytes(t *testing.T, b bench) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, value := range map[string]string{
		"every byte":        string(all),
		"zeros":             strings.Repeat("\x00", 4096),
		"lines":             "\r\n$3\r\nfoo\r\n",
		"digits":            "00000000000000000009",
		"64 KiB":            string(bytes.Repeat(all, 256)),
		"one byte":          "\x00",
		"text of no coding": "\xc3\x28\xff",
	} {
		b.put(t, name, 3, value, minute)
		b.expect(t, name, value)
	}
}

func endedContext(t *testing.T, b bench) {
	b.put(t, "k", 1, "v", minute)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, found, err := b.shared.Get(ended, b.prefix+"k"); err == nil || found {
		t.Errorf("a look-up with an ended context: found %v, error %v", found, err)
	}
	if err := b.shared.PutIfNewer(ended, b.prefix+"k", 2, []byte("after"), minute); err == nil {
		t.Error("a write with an ended context is no error")
	}
	past, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if _, _, err := b.shared.Get(past, b.prefix+"k"); err == nil {
		t.Error("a look-up after its deadline is no error")
	}
	b.expect(t, "k", "v")
}
