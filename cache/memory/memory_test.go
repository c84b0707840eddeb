package memory_test

import (
	"fmt"
	"testing"
	"time"

	"postern/cache"
	"postern/cache/cachetest"
	"postern/cache/memory"
)

func newCache(t testing.TB, size int, clock func() time.Time) *memory.Cache {
	t.Helper()
	c, err := memory.New(size, clock)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMemoryKeepsThePromisesOfASharedCache(t *testing.T) {
	cachetest.Run(t, func(t testing.TB) cache.Shared { return newCache(t, 1000, time.Now) })
}

func TestValuesAreDroppedToStayWithinTheBound(t *testing.T) {
	c := newCache(t, 10, time.Now)
	for i := range 1000 {
		if err := c.PutIfNewer(t.Context(), fmt.Sprint(i), 1, []byte("v"), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for i := range 1000 {
		if _, found, _ := c.Get(t.Context(), fmt.Sprint(i)); found {
			kept++
		}
	}
	if kept != 10 {
		t.Errorf("%d values are kept, the bound is 10", kept)
	}
}

func TestWhatHasEndedGivesWayFirst(t *testing.T) {
	now := time.Unix(0, 0)
	c := newCache(t, 3, func() time.Time { return now })
	put := func(key string, ttl time.Duration) {
		t.Helper()
		if err := c.PutIfNewer(t.Context(), key, 1, nil, ttl); err != nil {
			t.Fatal(err)
		}
	}
	put("lasting", time.Hour)
	put("lasting too", time.Hour)
	for i := range 100 {
		put(fmt.Sprint("brief ", i), time.Second)
		now = now.Add(time.Second)
	}
	for _, key := range []string{"lasting", "lasting too"} {
		if _, found, _ := c.Get(t.Context(), key); !found {
			t.Errorf("%q gave way to what ends sooner", key)
		}
	}
}

func TestACacheWithoutABoundOrAClockIsRefused(t *testing.T) {
	for what, err := range map[string]error{
		"no size":  func() error { _, err := memory.New(0, time.Now); return err }(),
		"no clock": func() error { _, err := memory.New(1, nil); return err }(),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
