package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/authz"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}
func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

type fixture struct {
	*Tier[string, string]
	clock *clock
	fence *Fence
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	c, fence := newClock(), &Fence{}
	fence.Extend(c.now().Add(time.Hour))
	tier, err := NewTier[string, string](fence, Options{
		TTL: 10 * time.Second, NegativeTTL: 2 * time.Second, Size: 100, NegativeSize: 100, Loads: 4, Clock: c.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{tier, c, fence}
}

func found(value string) Fetch[string] {
	return func(context.Context) (string, authz.Presence, error) { return value, authz.Found, nil }
}

func absent(context.Context) (string, authz.Presence, error) { return "", authz.Absent, nil }

func (f fixture) expect(t *testing.T, key, value string, presence authz.Presence) {
	t.Helper()
	if v, p := f.Cached(key, f.clock.now()); v != value || p != presence {
		t.Errorf("Cached(%q) = %q, %v; want %q, %v", key, v, p, value, presence)
	}
}

func TestAnEntryEndsAtItsAbsoluteLifeHoweverOftenItIsUsed(t *testing.T) {
	f := newFixture(t)
	f.Load(t.Context(), "k", found("v"))
	for range 9 {
		f.clock.advance(time.Second)
		f.expect(t, "k", "v", authz.Found)
	}
	f.clock.advance(time.Second)
	f.expect(t, "k", "", authz.Unknown)
}

func TestAnEntryAgesFromBeforeItsLoad(t *testing.T) {
	f := newFixture(t)
	f.Load(t.Context(), "k", func(context.Context) (string, authz.Presence, error) {
		f.clock.advance(4 * time.Second)
		return "v", authz.Found, nil
	})
	f.clock.advance(6 * time.Second)
	f.expect(t, "k", "", authz.Unknown)
}

func TestAnAbsenceIsKeptForItsOwnLife(t *testing.T) {
	f := newFixture(t)
	f.Load(t.Context(), "k", absent)
	f.expect(t, "k", "", authz.Absent)
	f.clock.advance(2 * time.Second)
	f.expect(t, "k", "", authz.Unknown)
}

func TestWhatCouldNotBeAskedIsNotKept(t *testing.T) {
	f := newFixture(t)
	broken := errors.New("broken")
	_, presence, err := f.Load(t.Context(), "k", func(context.Context) (string, authz.Presence, error) {
		return "", authz.Unavailable, broken
	})
	if presence != authz.Unavailable || !errors.Is(err, broken) {
		t.Errorf("Load = %v, %v", presence, err)
	}
	f.expect(t, "k", "", authz.Unknown)
}

func TestALoadThatAnInvalidationOvertookIsNotKept(t *testing.T) {
	f := newFixture(t)
	value, presence, _ := f.Load(t.Context(), "k", func(context.Context) (string, authz.Presence, error) {
		f.fence.Invalidate(func() { f.Forget("k") })
		return "stale", authz.Found, nil
	})
	if value != "stale" || presence != authz.Found {
		t.Errorf("the caller that asked before gets %q, %v", value, presence)
	}
	f.expect(t, "k", "", authz.Unknown)
}

func TestACallerAfterAnInvalidationNeverSharesAnOlderLoad(t *testing.T) {
	f := newFixture(t)
	began, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		f.Load(t.Context(), "k", func(context.Context) (string, authz.Presence, error) {
			close(began)
			<-release
			return "stale", authz.Found, nil
		})
	})
	<-began
	f.fence.Invalidate(func() { f.Forget("k") })
	if value, _, _ := f.Load(t.Context(), "k", found("fresh")); value != "fresh" {
		t.Errorf("got %q", value)
	}
	close(release)
	wg.Wait()
	f.expect(t, "k", "fresh", authz.Found)
}

func TestCallersAtTheSameTimeShareOneLoad(t *testing.T) {
	f := newFixture(t)
	var loads atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			value, _, _ := f.Load(t.Context(), "k", func(context.Context) (string, authz.Presence, error) {
				loads.Add(1)
				<-release
				return "v", authz.Found, nil
			})
			if value != "v" {
				t.Errorf("got %q", value)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	close(release)
	wg.Wait()
	if n := loads.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
}

func TestALoadOutlivesTheCallerThatStartedIt(t *testing.T) {
	f := newFixture(t)
	release, done := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, presence, err := f.Load(ctx, "k", func(ctx context.Context) (string, authz.Presence, error) {
		defer close(done)
		<-release
		return "v", authz.Found, ctx.Err()
	})
	if presence != authz.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller gets %v, %v", presence, err)
	}
	close(release)
	<-done
	if v, p, err := f.Load(t.Context(), "k", found("v")); v != "v" || p != authz.Found || err != nil {
		t.Errorf("the next caller gets %q, %v, %v", v, p, err)
	}
}

func TestAPanicInALoadIsUnavailableAndEndsTheFlight(t *testing.T) {
	f := newFixture(t)
	_, presence, err := f.Load(t.Context(), "k", func(context.Context) (string, authz.Presence, error) { panic("boom") })
	if presence != authz.Unavailable || err == nil {
		t.Errorf("got %v, %v", presence, err)
	}
	if v, _, _ := f.Load(t.Context(), "k", found("v")); v != "v" {
		t.Errorf("the next load gives %q", v)
	}
}

func TestNothingIsKnownOnceTheLeaseHasEnded(t *testing.T) {
	f := newFixture(t)
	c, fence := f.clock, &Fence{}
	fence.Extend(c.now().Add(3 * time.Second))
	f.Tier.fence = fence
	f.Load(t.Context(), "k", found("v"))
	f.expect(t, "k", "v", authz.Found)
	c.advance(3 * time.Second)
	f.expect(t, "k", "", authz.Unknown)
	fence.Extend(c.now().Add(time.Second))
	f.expect(t, "k", "v", authz.Found)
}

func TestAnOldEntryIsStaleUntilItsAgeOrAnInvalidation(t *testing.T) {
	f := newFixture(t)
	f.Load(t.Context(), "k", found("v"))
	f.Load(t.Context(), "no", absent)
	f.clock.advance(time.Minute)
	f.expect(t, "k", "", authz.Unknown)
	if v, p := f.Stale("k", f.clock.now(), 2*time.Minute); v != "v" || p != authz.Found {
		t.Errorf("within the age: %q, %v", v, p)
	}
	if _, p := f.Stale("no", f.clock.now(), 2*time.Minute); p != authz.Absent {
		t.Errorf("an absence within the age: %v", p)
	}
	if _, p := f.Stale("k", f.clock.now(), time.Minute); p != authz.Unknown {
		t.Errorf("at the age: %v", p)
	}
	f.fence.Invalidate(func() { f.Forget("k") })
	if _, p := f.Stale("k", f.clock.now(), time.Hour); p != authz.Unknown {
		t.Errorf("after an invalidation: %v", p)
	}
}

func TestAFloodOfAbsencesDisplacesNoRecord(t *testing.T) {
	f := newFixture(t)
	for i := range 50 {
		f.Load(t.Context(), string(rune('a'+i)), found("v"))
	}
	for i := range 5000 {
		f.Load(t.Context(), "unknown"+time.Duration(i).String(), absent)
	}
	for i := range 50 {
		f.expect(t, string(rune('a'+i)), "v", authz.Found)
	}
	f.absent.CleanUp() // what is over the bound goes soon; here, now
	if _, absences := f.Len(); absences > 100 {
		t.Errorf("%d absences are kept, the bound is 100", absences)
	}
}

func TestRemovals(t *testing.T) {
	f := newFixture(t)
	fill := func() {
		f.Load(t.Context(), "a", found("1"))
		f.Load(t.Context(), "b", found("2"))
		f.Load(t.Context(), "c", absent)
	}
	fill()
	f.fence.Invalidate(func() { f.ForgetWhere(func(_, value string) bool { return value == "1" }) })
	f.expect(t, "a", "", authz.Unknown)
	f.expect(t, "b", "2", authz.Found)
	f.expect(t, "c", "", authz.Absent)
	f.fence.Invalidate(f.ForgetAbsent)
	f.expect(t, "b", "2", authz.Found)
	f.expect(t, "c", "", authz.Unknown)
	fill()
	f.fence.Invalidate(f.ForgetAll)
	f.expect(t, "b", "", authz.Unknown)
	f.expect(t, "c", "", authz.Unknown)
}

func TestOptionsThatBreakThePromiseAreRefused(t *testing.T) {
	good := Options{TTL: time.Second, Size: 1, NegativeSize: 1, Loads: 1, Clock: time.Now}
	for what, change := range map[string]func(*Options){
		"no life":            func(o *Options) { o.TTL = 0 },
		"a life over 10 s":   func(o *Options) { o.TTL = MaxTTL + 1 },
		"a long absence":     func(o *Options) { o.NegativeTTL = MaxTTL + 1 },
		"no size":            func(o *Options) { o.Size = 0 },
		"unbounded absences": func(o *Options) { o.NegativeSize = 0 },
		"unbounded loads":    func(o *Options) { o.Loads = 0 },
		"no clock":           func(o *Options) { o.Clock = nil },
	} {
		bad := good
		change(&bad)
		if _, err := NewTier[string, string](&Fence{}, bad); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func TestACachedRecordCostsNoAllocation(t *testing.T) {
	f := newFixture(t)
	f.Load(t.Context(), "k", found("v"))
	now := f.clock.now()
	if n := testing.AllocsPerRun(1000, func() { f.Cached("k", now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
