package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/authz/identity"
)

// patient is a shared cache whose answers a test decides.
type patient struct {
	asked  atomic.Int64
	answer atomic.Pointer[func(context.Context) error]
}

func (p *patient) set(answer func(context.Context) error) { p.answer.Store(&answer) }

func (p *patient) do(ctx context.Context) error {
	p.asked.Add(1)
	return (*p.answer.Load())(ctx)
}

func (p *patient) Get(ctx context.Context, _ string) ([]byte, bool, error) {
	if err := p.do(ctx); err != nil {
		return nil, false, err
	}
	return []byte("v"), true, nil
}

func (p *patient) PutIfNewer(ctx context.Context, _ string, _ identity.Revision, _ []byte, _ time.Duration) error {
	return p.do(ctx)
}

var errOutage = errors.New("connection refused")

func outage(context.Context) error  { return errOutage }
func healthy(context.Context) error { return nil }

type ward struct {
	*Breaker
	patient *patient
	clock   *clock
}

func newWard(t *testing.T) ward {
	t.Helper()
	w := ward{patient: &patient{}, clock: newClock()}
	b, err := NewBreaker(w.patient, w.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	w.Breaker = b
	w.patient.set(healthy)
	return w
}

func (w ward) look(t *testing.T) error {
	t.Helper()
	value, found, err := w.Get(t.Context(), "k")
	if (err == nil) != found || (err == nil) != (string(value) == "v") {
		t.Fatalf("Get = %q, %v, %v", value, found, err)
	}
	return err
}

// open makes the breaker open.
func (w ward) open(t *testing.T) {
	t.Helper()
	w.patient.set(outage)
	for range breakerFailures {
		w.look(t)
	}
	w.expect(t, BreakerOpen)
}

func (w ward) expect(t *testing.T, want BreakerState) {
	t.Helper()
	if have := w.State(); have != want {
		t.Fatalf("the breaker is %s, want %s", have, want)
	}
}

func TestABreakerOpensAfterFiveFailuresInARowAndThenAsksNothing(t *testing.T) {
	w := newWard(t)
	w.patient.set(outage)
	for i := range breakerFailures {
		w.expect(t, BreakerClosed)
		if err := w.look(t); !errors.Is(err, errOutage) {
			t.Fatalf("failure %d: %v", i, err)
		}
	}
	w.expect(t, BreakerOpen)
	asked := w.patient.asked.Load()
	for range 1000 {
		if err := w.look(t); !errors.Is(err, ErrOpen) {
			t.Fatalf("got %v", err)
		}
	}
	if err := w.PutIfNewer(t.Context(), "k", 1, nil, time.Second); !errors.Is(err, ErrOpen) {
		t.Errorf("a write: %v", err)
	}
	if more := w.patient.asked.Load() - asked; more != 0 {
		t.Errorf("asked %d times while open", more)
	}
}

func TestASuccessBetweenFailuresKeepsABreakerClosed(t *testing.T) {
	w := newWard(t)
	for range 20 {
		w.patient.set(outage)
		for range breakerFailures - 1 {
			w.look(t)
		}
		w.patient.set(healthy)
		w.look(t)
		w.expect(t, BreakerClosed)
	}
}

func TestFailedWritesOpenABreakerToo(t *testing.T) {
	w := newWard(t)
	w.patient.set(outage)
	for range breakerFailures {
		w.PutIfNewer(t.Context(), "k", 1, nil, time.Second)
	}
	w.expect(t, BreakerOpen)
}

func TestAfterThePauseOneCallLooksAndItsSuccessCloses(t *testing.T) {
	w := newWard(t)
	w.open(t)
	w.clock.advance(breakerPause - 1)
	if err := w.look(t); !errors.Is(err, ErrOpen) {
		t.Fatalf("within the pause: %v", err)
	}
	w.clock.advance(1)
	w.expect(t, BreakerHalfOpen)
	w.patient.set(healthy)
	if err := w.look(t); err != nil {
		t.Fatal(err)
	}
	w.expect(t, BreakerClosed)
	if err := w.look(t); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedProbeBeginsAnotherPause(t *testing.T) {
	w := newWard(t)
	w.open(t)
	for range 3 {
		w.clock.advance(breakerPause)
		if err := w.look(t); !errors.Is(err, errOutage) {
			t.Fatalf("the probe: %v", err)
		}
		w.expect(t, BreakerOpen)
		if err := w.look(t); !errors.Is(err, ErrOpen) {
			t.Fatalf("after the probe: %v", err)
		}
	}
}

func TestOnlyOneCallAtATimeIsAProbe(t *testing.T) {
	w := newWard(t)
	w.open(t)
	w.clock.advance(breakerPause)
	asked, began, release := w.patient.asked.Load(), make(chan struct{}), make(chan struct{})
	w.patient.set(func(context.Context) error { close(began); <-release; return nil })
	var probe, others sync.WaitGroup
	probe.Go(func() {
		if err := w.PutIfNewer(t.Context(), "k", 1, nil, time.Second); err != nil {
			t.Errorf("the probe: %v", err)
		}
	})
	<-began
	for range 50 {
		others.Go(func() {
			if _, _, err := w.Get(t.Context(), "k"); !errors.Is(err, ErrOpen) {
				t.Errorf("beside the probe: %v", err)
			}
		})
	}
	others.Wait()
	close(release)
	probe.Wait()
	if n := w.patient.asked.Load() - asked; n != 1 {
		t.Errorf("asked %d times", n)
	}
	w.expect(t, BreakerClosed)
}

func TestACallerThatGaveUpCountsForNothing(t *testing.T) {
	w := newWard(t)
	w.patient.set(func(context.Context) error { return context.Canceled })
	for range 3 * breakerFailures {
		w.look(t)
	}
	w.expect(t, BreakerClosed)

	ended, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	asked := w.patient.asked.Load()
	for range 3 * breakerFailures {
		if _, _, err := w.Get(ended, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	}
	if w.patient.asked.Load() != asked {
		t.Error("an ended context asks")
	}
	w.expect(t, BreakerClosed)
}

func TestAProbeThatWasGivenUpLeavesThePlaceToAnother(t *testing.T) {
	w := newWard(t)
	w.open(t)
	w.clock.advance(breakerPause)
	w.patient.set(func(context.Context) error { return context.Canceled })
	w.look(t)
	w.expect(t, BreakerHalfOpen)
	w.patient.set(healthy)
	if err := w.look(t); err != nil {
		t.Fatal(err)
	}
	w.expect(t, BreakerClosed)
}

func TestTimeThatRanOutIsAFailure(t *testing.T) {
	w := newWard(t)
	w.patient.set(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	for range breakerFailures {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		w.Get(ctx, "k")
		cancel()
	}
	w.expect(t, BreakerOpen)
}

func TestACallFromBeforeTheOutageNeitherClosesNorProlongsIt(t *testing.T) {
	for what, outcome := range map[string]error{"a success": nil, "a failure": errOutage} {
		t.Run(what, func(t *testing.T) {
			w := newWard(t)
			began, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			w.patient.set(func(context.Context) error { close(began); <-release; return outcome })
			go func() { defer close(done); w.Get(context.Background(), "k") }()
			<-began
			w.open(t)
			w.clock.advance(breakerPause / 2)
			close(release)
			<-done
			w.expect(t, BreakerOpen)
			w.clock.advance(breakerPause / 2)
			w.expect(t, BreakerHalfOpen)
		})
	}
}

func TestAPanicIsAFailureAndNoProbeForEver(t *testing.T) {
	w := newWard(t)
	w.open(t)
	w.clock.advance(breakerPause)
	w.patient.set(func(context.Context) error { panic("boom") })
	func() {
		defer func() { _ = recover() }()
		w.Get(t.Context(), "k")
	}()
	w.expect(t, BreakerOpen)
	w.clock.advance(breakerPause)
	w.patient.set(healthy)
	if err := w.look(t); err != nil {
		t.Fatal(err)
	}
	w.expect(t, BreakerClosed)
}

func TestABreakerUnderConcurrencyComesBackByItself(t *testing.T) {
	w := newWard(t)
	var broken atomic.Bool
	w.patient.set(func(context.Context) error {
		if broken.Load() {
			return errOutage
		}
		return nil
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				w.Get(t.Context(), "k")
				w.State()
				if i%100 == 0 {
					broken.Store(i%200 == 0)
					w.clock.advance(breakerPause / 3)
				}
			}
		})
	}
	wg.Wait()
	broken.Store(false)
	w.clock.advance(breakerPause)
	if err := w.look(t); err != nil {
		t.Fatal(err)
	}
	w.expect(t, BreakerClosed)
}

func TestABreakerNeedsACacheAndAClock(t *testing.T) {
	if _, err := NewBreaker(nil, time.Now); err == nil {
		t.Error("no cache is accepted")
	}
	if _, err := NewBreaker(&patient{}, nil); err == nil {
		t.Error("no clock is accepted")
	}
}

func BenchmarkALookUpWhileABreakerIsOpen(b *testing.B) {
	p := &patient{}
	p.set(outage)
	breaker, err := NewBreaker(p, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	for range breakerFailures {
		breaker.Get(b.Context(), "k")
	}
	for b.Loop() {
		breaker.Get(b.Context(), "k")
	}
}
