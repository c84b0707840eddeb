package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"postern/authz"
	"postern/authz/admission"
)

// bounded fetches the value within the limiter, as the store's reads are.
func bounded(l *admission.Limiter, takes time.Duration, value string) Fetch[string] {
	return func(ctx context.Context) (string, authz.Presence, error) {
		leave, err := l.Enter(ctx)
		if err != nil {
			return "", authz.Busy, err
		}
		defer leave()
		time.Sleep(takes)
		return value, authz.Found, nil
	}
}

// overload is a tier on the fake time of a bubble, over a limiter of two places.
func overload(t *testing.T) (*Tier[string, string], *admission.Limiter) {
	t.Helper()
	fence := &Fence{}
	fence.Extend(time.Now().Add(time.Hour))
	tier, err := NewTier[string, string](fence, Options{
		TTL: 10 * time.Second, NegativeTTL: 2 * time.Second, Size: 100, NegativeSize: 100, Loads: 4, Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := admission.New(admission.Options{Min: 2, Initial: 2, Max: 2, Queue: 8, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return tier, l
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 475*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func TestAnExpiredRecordIsReloadedWhileUnseenKeysWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, l := overload(t)
		tier.Load(t.Context(), "known", bounded(l, 0, "v1"))
		time.Sleep(10 * time.Second)
		for _, key := range []string{"unseen 1", "unseen 2"} {
			go tier.Load(soon(t), key, bounded(l, 400*time.Millisecond, "x"))
		}
		synctest.Wait()
		if s := l.Stats(); s.Running != 1 || s.Queued[admission.Unseen] != 1 {
			t.Fatalf("%+v", s)
		}
		began := time.Now()
		v, p, err := tier.Load(soon(t), "known", bounded(l, 100*time.Millisecond, "v2"))
		if v != "v2" || p != authz.Found || time.Since(began) != 100*time.Millisecond {
			t.Errorf("%q, %v, %v after %v", v, p, err, time.Since(began))
		}
		time.Sleep(2 * time.Second)
	})
}

func TestAShedLoadIsBusyBeforeItsDeadlineAndNeverKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, l := overload(t)
		go tier.Load(soon(t), "slow", bounded(l, time.Second, "x"))
		synctest.Wait()
		began := time.Now()
		_, p, err := tier.Load(soon(t), "unseen", bounded(l, 0, "v"))
		if took := time.Since(began); p != authz.Busy || !errors.Is(err, admission.ErrShed) || took > 240*time.Millisecond {
			t.Errorf("%v, %v after %v", p, err, took)
		}
		if _, p := tier.Cached("unseen", time.Now()); p != authz.Unknown {
			t.Errorf("then %v is known of it", p)
		}
		time.Sleep(time.Second)
		if v, _, _ := tier.Load(soon(t), "unseen", bounded(l, 0, "v")); v != "v" {
			t.Errorf("once there is a place: %q", v)
		}
	})
}

func TestALoadThatComesTooLateIsBusyAtOnceAndServesTheNextCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, l := overload(t)
		for range 20 { // everybody sees how long it takes
			tier.Load(t.Context(), time.Now().String(), bounded(l, time.Second, "x"))
		}
		began := time.Now()
		for range 3 {
			if _, p, _ := tier.Load(soon(t), "k", bounded(l, time.Second, "v")); p != authz.Busy || time.Since(began) != 0 {
				t.Errorf("%v after %v", p, time.Since(began))
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if v, p := tier.Cached("k", time.Now()); v != "v" || p != authz.Found {
			t.Errorf("a second later: %q, %v", v, p)
		}
	})
}

func TestOneLoadTooManyIsBusyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, _ := overload(t)
		hang := func(ctx context.Context) (string, authz.Presence, error) {
			<-ctx.Done()
			return "", authz.Unavailable, ctx.Err()
		}
		for _, key := range []string{"1", "2", "3", "4"} {
			go tier.Load(t.Context(), key, hang)
		}
		synctest.Wait()
		began := time.Now()
		if _, p, err := tier.Load(t.Context(), "5", hang); p != authz.Busy || err == nil || time.Since(began) != 0 {
			t.Errorf("%v, %v after %v", p, err, time.Since(began))
		}
		time.Sleep(loadTimeout)
	})
}
