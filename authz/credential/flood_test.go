package credential_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/authz/credential"
	"postern/authz/identity"
)

func TestAFloodIsBoundedAndProvenKeysPassIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords()
		raw := r.addPair(t, rightSecret)
		a := newAuthenticator(t, r, func(o *credential.Options) { o.MaxWaiting = 16 })
		if _, _, err := attempt(t.Context(), a, raw); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 16 {
			wrong := unknownPair(t)
			group.Go(func() { _, _, _ = attempt(t.Context(), a, wrong) })
		}
		synctest.Wait()
		if took, _, err := attempt(t.Context(), a, unknownPair(t)); !errors.Is(err, credential.ErrOverloaded) || took != 0 {
			t.Fatalf("one more unknown key: %v after %v", err, took)
		}
		if took, _, err := attempt(t.Context(), a, raw); err != nil || took != 0 {
			t.Fatalf("the proven key: %v after %v", err, took)
		}
		group.Wait()
		if _, _, err := attempt(t.Context(), a, unknownPair(t)); !errors.Is(err, credential.ErrNoKey) {
			t.Fatalf("after the flood: %v", err)
		}
	})
}

func TestAFloodAtOneIDLeavesRoomForOthersAndForItsProvenKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords()
		raw, other := r.addPair(t, rightSecret), r.addPair(t, rightSecret)
		a := newAuthenticator(t, r, nil)
		if _, _, err := attempt(t.Context(), a, raw); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var mu sync.Mutex
		counts := make(map[string]int)
		for i := range 20 {
			group.Go(func() {
				_, _, err := attempt(t.Context(), a, withSecret(t, raw, wrongSecret+strings.Repeat("x", i)))
				mu.Lock()
				defer mu.Unlock()
				counts[err.Error()]++
			})
		}
		synctest.Wait()
		for name, good := range map[string]string{"its proven key": raw, "another key": other} {
			if took, _, err := attempt(t.Context(), a, good); err != nil || took != 0 {
				t.Fatalf("%s: %v after %v", name, err, took)
			}
		}
		group.Wait()
		want := map[string]int{credential.ErrNoKey.Error(): 8, credential.ErrOverloaded.Error(): 12}
		if !maps.Equal(counts, want) {
			t.Fatalf("got %v, want %v", counts, want)
		}
	})
}

func TestAFloodOfWrongKeysLeavesAGoodKeyQuick(t *testing.T) {
	r := newRecords()
	minted, err := pair.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r.byID[minted.ID] = credential.Record{Key: identity.Key{ID: minted.ID}, Hash: minted.Hash}
	raw := minted.Raw.Reveal()
	a := newAuthenticator(t, r, nil)
	slowest := func() time.Duration {
		var most time.Duration
		for range 15 {
			took, _, err := attempt(t.Context(), a, raw)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, took)
		}
		return most
	}
	quiet := slowest()

	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			wrong := unknownPair(t)
			if i%4 == 0 {
				wrong = withSecret(t, raw, wrongSecret)
			}
			group.Go(func() { _, _, _ = attempt(context.Background(), a, wrong) })
		}
	})
	flooded := slowest()
	close(stop)
	group.Wait()
	t.Logf("slowest good key: %v quiet, %v in the flood", quiet, flooded)
	// The promise is 3×; a shared machine needs room, a starved key needs seconds.
	if flooded > 3*quiet+500*time.Millisecond {
		t.Fatalf("slowest good key: %v quiet, %v in the flood", quiet, flooded)
	}
}
