package admission_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"postern/authz/admission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The tests run on the fake time of a synctest bubble, which is the clock.

func newLimiter(t testing.TB, least, initial, most int) *admission.Limiter {
	t.Helper()
	l, err := admission.New(admission.Options{
		Min: least, Initial: initial, Max: most, Target: 50 * time.Millisecond, Queue: 64, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func fixed(t testing.TB, places int) *admission.Limiter { return newLimiter(t, places, places, places) }

// within is work of the class whose callers wait for so long.
func within(ctx context.Context, class admission.Class, left time.Duration) context.Context {
	return admission.Work{Class: class, Deadline: time.Now().Add(left)}.On(ctx)
}

// enter takes a place that must be free.
func enter(ctx context.Context, t testing.TB, l *admission.Limiter) func() {
	t.Helper()
	leave, err := l.Enter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// attempt enters in the background, and says when and how that ended.
type attempt struct {
	leave func()
	err   error
	took  time.Duration
	done  bool
}

func try(ctx context.Context, l *admission.Limiter) *attempt {
	a := &attempt{}
	began := time.Now()
	go func() {
		a.leave, a.err = l.Enter(ctx)
		a.took, a.done = time.Since(began), true
	}()
	synctest.Wait()
	return a
}

func TestAPlaceThatIsFreeIsTakenAtOnceAndNoMoreThanTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 4)
		ctx := within(t.Context(), admission.Known, time.Second)
		var leave []func()
		for range 4 {
			leave = append(leave, enter(ctx, t, l))
		}
		fifth := try(ctx, l)
		if fifth.done {
			t.Fatalf("a fifth of four places: %v", fifth.err)
		}
		leave[0]()
		synctest.Wait()
		if !fifth.done || fifth.err != nil {
			t.Fatalf("the place that became free: %v", fifth.err)
		}
	})
}

func TestKnownWorkGoesAheadAndUnseenWorkLeavesItHalfOfThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 4)
		unseen, known := within(t.Context(), admission.Unseen, time.Second), within(t.Context(), admission.Known, time.Second)
		first, second := enter(unseen, t, l), enter(unseen, t, l)
		waiting := try(unseen, l)
		if waiting.done {
			t.Fatal("unseen work takes more than half of the places")
		}
		third, fourth := enter(known, t, l), enter(known, t, l)
		ahead := try(known, l)
		first()
		synctest.Wait()
		if !ahead.done || waiting.done {
			t.Fatalf("known work, which came later, goes on: %v; the unseen: %v", ahead.done, waiting.done)
		}
		ahead.leave()
		synctest.Wait()
		if !waiting.done || waiting.err != nil {
			t.Fatalf("the unseen work never goes on: %v", waiting.err)
		}
		for _, leave := range []func(){second, third, fourth, waiting.leave} {
			leave()
		}
		if s := l.Stats(); s.Running != 0 || s.Queued != [2]int{} || s.Shed != [2]uint64{} {
			t.Fatalf("in the end: %+v", s)
		}
	})
}

func TestAWaiterIsShedWhenHalfOfItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 1)
		leave := enter(within(t.Context(), admission.Known, time.Second), t, l)
		waiting := try(within(t.Context(), admission.Unseen, 400*time.Millisecond), l)
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if !waiting.done || !errors.Is(waiting.err, admission.ErrShed) || waiting.took != 200*time.Millisecond {
			t.Fatalf("%v after %v", waiting.err, waiting.took)
		}
		leave()
		if s := l.Stats(); s.Shed != [2]uint64{admission.Unseen: 1} || s.Running != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

func TestWhoCannotBeServedInTimeIsShedOnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 2)
		ctx := within(t.Context(), admission.Known, time.Hour)
		for range 100 { // it takes 100 ms, as far as anybody has seen
			leave := enter(ctx, t, l)
			time.Sleep(100 * time.Millisecond)
			leave()
		}
		first, second := enter(ctx, t, l), enter(ctx, t, l)
		short := try(within(t.Context(), admission.Known, 180*time.Millisecond), l)
		if !short.done || !errors.Is(short.err, admission.ErrShed) || short.took != 0 {
			t.Fatalf("with less time than it takes: %v after %v", short.err, short.took)
		}
		var waiting []*attempt
		for range 3 { // 50, 100 and 150 ms to wait
			waiting = append(waiting, try(within(t.Context(), admission.Known, 310*time.Millisecond), l))
		}
		fourth := try(within(t.Context(), admission.Known, 310*time.Millisecond), l)
		if !fourth.done || fourth.took != 0 {
			t.Fatalf("behind too many: %v after %v", fourth.err, fourth.took)
		}
		first()
		second()
		synctest.Wait()
		waiting[0].leave()
		synctest.Wait()
		for i, w := range waiting {
			if !w.done || w.err != nil {
				t.Errorf("the waiter %d: %v", i, w.err)
			}
		}
	})
}

func TestAStoreThatHangsIsNoticedBeforeItsFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 2)
		ctx := within(t.Context(), admission.Known, time.Hour)
		enter(ctx, t, l)
		enter(ctx, t, l)
		time.Sleep(250 * time.Millisecond)
		if late := try(within(t.Context(), admission.Known, 475*time.Millisecond), l); !late.done || !errors.Is(late.err, admission.ErrShed) {
			t.Fatalf("nothing has moved for 250 ms: %v, %v", late.done, late.err)
		}
	})
}

func TestAFullQueueShedsItsOwnClassOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 1)
		leave := enter(t.Context(), t, l)
		ctx, cancel := context.WithCancel(t.Context())
		for range 64 {
			try(ctx, l)
		}
		if one := try(ctx, l); !errors.Is(one.err, admission.ErrShed) {
			t.Fatalf("the 65th: %v", one.err)
		}
		known := try(admission.AsKnown(t.Context()), l)
		leave()
		synctest.Wait()
		if !known.done || known.err != nil {
			t.Fatalf("the known: %v", known.err)
		}
		cancel()
		synctest.Wait()
		if s := l.Stats(); s.Queued != [2]int{} {
			t.Fatalf("who left still stands in line: %+v", s)
		}
	})
}

func TestWhoeverWaitsForWorkThatComesTooLateIsToldAndTheWorkIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 2)
		for range 40 {
			leave := enter(t.Context(), t, l)
			time.Sleep(time.Second)
			leave()
		}
		var told []string
		for name, left := range map[string]time.Duration{"soon": 475 * time.Millisecond, "later": 2 * time.Second} {
			w := admission.Work{Class: admission.Known, Deadline: time.Now().Add(left), Late: func() { told = append(told, name) }}
			enter(w.On(t.Context()), t, l)()
		}
		if !slices.Equal(told, []string{"soon"}) {
			t.Fatalf("told: %q", told)
		}
		time.Sleep(6 * time.Second) // what was measured then says nothing any more
		w := admission.Work{Deadline: time.Now().Add(time.Millisecond), Late: func() { t.Error("told by a memory that is too old") }}
		enter(w.On(t.Context()), t, l)()
	})
}

func TestTheEarlierDeadlineCounts(t *testing.T) {
	near, far := time.Now().Add(time.Minute), time.Now().Add(time.Hour)
	for _, pair := range [][2]time.Time{{near, far}, {far, near}, {{}, near}} {
		ctx, cancel := context.WithDeadline(t.Context(), pair[1])
		if got, ok := admission.Deadline(admission.Work{Deadline: pair[0]}.On(ctx)); !ok || !got.Equal(near) {
			t.Errorf("%v: %v", pair, got)
		}
		cancel()
	}
	if _, ok := admission.Deadline(context.Background()); ok {
		t.Error("a deadline out of nothing")
	}
}

func TestOptionsWithoutBoundsAreRefused(t *testing.T) {
	good := admission.Options{Min: 1, Initial: 2, Max: 3, Target: 1, Queue: 1, Clock: time.Now}
	for what, change := range map[string]func(*admission.Options){
		"no least":         func(o *admission.Options) { o.Min = 0 },
		"below the least":  func(o *admission.Options) { o.Initial = 0 },
		"above the most":   func(o *admission.Options) { o.Max = 1 },
		"no target":        func(o *admission.Options) { o.Target = 0 },
		"an endless queue": func(o *admission.Options) { o.Queue = 0 },
		"no clock":         func(o *admission.Options) { o.Clock = nil },
	} {
		bad := good
		change(&bad)
		if _, err := admission.New(bad); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
