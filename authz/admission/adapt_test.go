package admission_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"postern/authz/admission"
)

// store is something that takes a while, more callers at once than its capacity
// take turns.
type store struct {
	takes    time.Duration
	capacity chan struct{}
}

func newStore(takes time.Duration, capacity int) *store {
	return &store{takes, make(chan struct{}, capacity)}
}

func (s *store) ask() {
	s.capacity <- struct{}{}
	time.Sleep(s.takes)
	<-s.capacity
}

// load keeps so many askers busy for a while and returns how many were served.
func load(l *admission.Limiter, s *store, askers int, length time.Duration) (served int) {
	var group sync.WaitGroup
	var mu sync.Mutex
	end := time.Now().Add(length)
	for range askers {
		group.Go(func() {
			for time.Now().Before(end) {
				leave, err := l.Enter(within(context.Background(), admission.Known, 475*time.Millisecond))
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				s.ask()
				leave()
				mu.Lock()
				served++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return served
}

func TestTheLimitFallsUnderASlowStoreAndGrowsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, 8, 16, 64)
		load(l, newStore(time.Millisecond, 1000), 100, 10*time.Second)
		if got := l.Stats().Limit; got != 64 {
			t.Fatalf("a fast store and many askers: %d", got)
		}
		load(l, newStore(time.Second, 1000), 100, 10*time.Second)
		if got := l.Stats().Limit; got != 8 {
			t.Fatalf("a store that takes a second: %d", got)
		}
		load(l, newStore(time.Millisecond, 1000), 4, 3*time.Second)
		if got := l.Stats().Limit; got != 16 {
			t.Fatalf("fast again, with few askers: %d", got)
		}
		load(l, newStore(time.Millisecond, 1000), 100, 10*time.Second)
		if got := l.Stats().Limit; got != 64 {
			t.Fatalf("fast again, with many askers: %d", got)
		}
	})
}

func TestTheLimitSettlesWhereTheStoreIsStillQuickEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newLimiter(t, 2, 16, 64), newStore(10*time.Millisecond, 4) // 50 ms at 20 at once
		load(l, s, 100, 10*time.Second)
		low, high := 64, 0
		for range 50 {
			if served := load(l, s, 100, time.Second); served < 300 {
				t.Fatalf("%d served in a second, the store could 400", served)
			}
			low, high = min(low, l.Stats().Limit), max(high, l.Stats().Limit)
		}
		if low < 8 || high > 32 {
			t.Errorf("the limit moves between %d and %d", low, high)
		}
	})
}

// Whatever arrives in whatever order: no more than the limit runs, unseen work has
// at most half, everybody has an answer when half of its time is over, and no place
// is lost.
func TestEverybodyIsAnsweredInTimeAndNoPlaceIsLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type arrival struct {
			after, left, takes time.Duration
			class              admission.Class
			leaves             bool
		}
		millis := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(r, name)) * time.Millisecond
		}
		arrivals := make([]arrival, rapid.IntRange(1, 80).Draw(r, "arrivals"))
		for i := range arrivals {
			arrivals[i] = arrival{
				millis("after", 30), millis("left", 500), millis("takes", 300),
				admission.Class(rapid.IntRange(0, 1).Draw(r, "class")), rapid.IntRange(0, 9).Draw(r, "leaves") == 0,
			}
		}
		most := rapid.IntRange(1, 8).Draw(r, "most")
		problems := make(chan string, 4*len(arrivals)+1)
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, 1, most, most)
			var mu sync.Mutex
			running := map[admission.Class]int{}
			var group sync.WaitGroup
			for _, a := range arrivals {
				time.Sleep(a.after)
				group.Go(func() {
					ctx, cancel := context.WithCancel(within(context.Background(), a.class, a.left))
					defer cancel()
					if a.leaves {
						time.AfterFunc(a.left/4, cancel)
					}
					began := time.Now()
					leave, err := l.Enter(ctx)
					if waited := time.Since(began); waited > a.left/2 {
						problems <- "an answer after " + waited.String() + " of " + a.left.String()
					}
					if err != nil {
						if !errors.Is(err, admission.ErrShed) && !errors.Is(err, context.Canceled) {
							problems <- err.Error()
						}
						return
					}
					mu.Lock()
					running[a.class]++
					if running[admission.Unseen]+running[admission.Known] > most || running[admission.Unseen] > (most+1)/2 {
						problems <- "too many at once"
					}
					mu.Unlock()
					time.Sleep(a.takes)
					mu.Lock()
					running[a.class]--
					mu.Unlock()
					leave()
				})
			}
			group.Wait()
			if s := l.Stats(); s.Running != 0 || s.Queued != [2]int{} {
				problems <- "a place is lost"
			}
		})
		close(problems)
		for problem := range problems {
			r.Fatal(problem)
		}
	})
}
