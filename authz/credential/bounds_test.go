package credential

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"postern/authz/identity"
)

func TestProvenSecretsAreHashedBeforeAllOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashing(1, 8)
		if err := h.acquire(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(name string, proven bool) {
			go func() {
				if err := h.acquire(t.Context(), proven); err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				order = append(order, name)
				h.release()
			}()
			synctest.Wait()
		}
		wait("first guess", false)
		wait("second guess", false)
		wait("proven", true)
		h.release()
		synctest.Wait()
		if want := []string{"proven", "first guess", "second guess"}; !slices.Equal(order, want) {
			t.Fatalf("hashed in the order %q, want %q", order, want)
		}
		if h.free != 1 {
			t.Fatalf("%d workers are free, want 1", h.free)
		}
	})
}

func TestAFullQueueRefusesAtOnceAndKeepsRoomForProvenSecrets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashing(1, 2)
		ctx, cancel := context.WithCancel(t.Context())
		if err := h.acquire(ctx, false); err != nil {
			t.Fatal(err)
		}
		left := make(chan error, 3)
		for range 2 {
			go func() { left <- h.acquire(ctx, false) }()
		}
		synctest.Wait()
		if !h.full() {
			t.Fatal("the queue is not full")
		}
		if err := h.acquire(ctx, false); !errors.Is(err, ErrOverloaded) {
			t.Fatalf("got %v", err)
		}
		go func() { left <- h.acquire(ctx, true) }()
		synctest.Wait()
		if len(h.proven) != 1 {
			t.Fatal("the proven secret does not wait")
		}
		cancel()
		for range 3 {
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Fatalf("who leaves gets %v", err)
			}
		}
		if h.full() || len(h.proven) != 0 {
			t.Fatal("who left still stands in line")
		}
		h.release()
		if h.free != 1 {
			t.Fatalf("%d workers are free, want 1", h.free)
		}
	})
}

func TestAWorkerHandedToWhoJustLeftIsNotLost(t *testing.T) {
	h := newHashing(1, 2)
	if err := h.acquire(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	turn := make(chan struct{})
	h.others = append(h.others, turn)
	h.release() // hands the worker to turn, whose taker leaves
	h.abandon(&h.others, turn)
	if h.free != 1 {
		t.Fatalf("%d workers are free, want 1", h.free)
	}
}

func TestTheMemoryOfProvenSecretsIsBounded(t *testing.T) {
	p := newProven()
	kept, digest := identity.KeyID("kept"), identity.DigestOf("kept")
	p.remember(kept, digest)
	for i := range 10 * maxProven {
		p.remember(identity.KeyID(strconv.Itoa(i)), digest)
		if i%1000 == 0 && !p.has(kept, digest) {
			t.Fatalf("forgot a secret in use after %d others", i)
		}
	}
	if len(p.current)+len(p.earlier) > 2*maxProven {
		t.Fatalf("remembers %d", len(p.current)+len(p.earlier))
	}
	if p.has("0", digest) || p.has(kept, identity.DigestOf("another")) {
		t.Fatal("takes what is long unused, or another secret, for proven")
	}
}
