package credential_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"postern/authz/credential"
	"postern/authz/identity"
)

const floor = 60 * time.Millisecond

// records are the records of a test; down makes them fail, and wait is what a
// look-up by id takes.
type records struct {
	mu       sync.Mutex
	byID     map[identity.KeyID]credential.Record
	byDigest map[identity.Digest]credential.Record
	down     error
	wait     map[identity.KeyID]time.Duration
}

func newRecords() *records {
	return &records{
		byID:     make(map[identity.KeyID]credential.Record),
		byDigest: make(map[identity.Digest]credential.Record),
		wait:     make(map[identity.KeyID]time.Duration),
	}
}

func (r *records) KeyByDigest(_ context.Context, digest identity.Digest) (credential.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	record, ok := r.byDigest[digest]
	return r.answer(record, ok)
}

func (r *records) KeyByID(_ context.Context, id identity.KeyID) (credential.Record, error) {
	r.mu.Lock()
	record, ok := r.byID[id]
	wait := r.wait[id]
	r.mu.Unlock()
	time.Sleep(wait)
	return r.answer(record, ok)
}

func (r *records) answer(record credential.Record, ok bool) (credential.Record, error) {
	if r.down != nil {
		return credential.Record{}, r.down
	}
	if !ok {
		return credential.Record{}, credential.ErrNoRecord
	}
	return record, nil
}

// addPair adds a record with a cheap hash and returns its raw key.
func (r *records) addPair(t *testing.T, secret string) string {
	t.Helper()
	minted, err := (&credential.Format{Layout: credential.Pair, Hash: credential.SHA256}).Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r.byID[minted.ID] = credential.Record{Key: identity.Key{ID: minted.ID}, Hash: identity.NewSecret(string(hash))}
	return encodePair(string(minted.ID) + ":" + secret)
}

const (
	rightSecret = "right-secret-0123456789"
	wrongSecret = "wrong-secret-0123456789"
)

func withSecret(t *testing.T, raw, secret string) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		t.Fatal(err)
	}
	return encodePair(string(text[:36]) + ":" + secret)
}

func unknownPair(t *testing.T) string {
	t.Helper()
	minted, err := (&credential.Format{Layout: credential.Pair, Hash: credential.SHA256}).Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return minted.Raw.Reveal()
}

func newAuthenticator(t *testing.T, r credential.Records, change func(*credential.Options)) *credential.Authenticator {
	t.Helper()
	options := credential.Options{FailureFloor: floor, Clock: time.Now}
	if change != nil {
		change(&options)
	}
	a, err := credential.NewAuthenticator(r, options)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// attempt presents a key and says what came of it and after how long.
func attempt(ctx context.Context, a *credential.Authenticator, raw string) (time.Duration, *identity.Key, error) {
	start := time.Now()
	key, err := a.Authenticate(ctx, pair, raw)
	return time.Since(start), key, err
}

func TestAMintedKeyIsAuthenticatedByItsDigest(t *testing.T) {
	minted, err := checked.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := newRecords()
	r.byDigest[minted.Digest] = credential.Record{Key: identity.Key{ID: minted.ID}, Hash: minted.Hash}
	a := newAuthenticator(t, r, nil)
	key, err := a.Authenticate(t.Context(), checked, minted.Raw.Reveal())
	if err != nil || key.ID != minted.ID {
		t.Fatalf("got %v, %v", key, err)
	}
	other, err := checked.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), checked, other.Raw.Reveal()); !errors.Is(err, credential.ErrNoKey) {
		t.Fatalf("an unknown key: %v", err)
	}
	// A look-up that answers with another key's record must not authenticate.
	r.byDigest[other.Digest] = r.byDigest[minted.Digest]
	if _, err := a.Authenticate(t.Context(), checked, other.Raw.Reveal()); !errors.Is(err, credential.ErrNoKey) {
		t.Fatalf("another key's record: %v", err)
	}
}

func TestRecordsThatCannotBeAskedAreNeverAWrongKey(t *testing.T) {
	r := newRecords()
	raw := r.addPair(t, rightSecret)
	opaque, err := checked.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r.down = errors.New("connection refused")
	a := newAuthenticator(t, r, nil)
	for format, raw := range map[*credential.Format]string{pair: raw, checked: opaque.Raw.Reveal()} {
		_, err := a.Authenticate(t.Context(), format, raw)
		if !errors.Is(err, r.down) || errors.Is(err, credential.ErrNoKey) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestAnUnreadableHashIsNeverAWrongKey(t *testing.T) {
	r := newRecords()
	raw := r.addPair(t, rightSecret)
	for id, record := range r.byID {
		record.Hash = identity.NewSecret("$9$unknown")
		r.byID[id] = record
	}
	_, err := newAuthenticator(t, r, nil).Authenticate(t.Context(), pair, raw)
	if err == nil || errors.Is(err, credential.ErrNoKey) {
		t.Fatalf("got %v", err)
	}
}

func TestUnknownIDAndWrongSecretAreRefusedAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords()
		raw := r.addPair(t, rightSecret)
		a := newAuthenticator(t, r, nil)
		for name, wrong := range map[string]string{"unknown id": unknownPair(t), "wrong secret": withSecret(t, raw, wrongSecret)} {
			took, _, err := attempt(t.Context(), a, wrong)
			if !errors.Is(err, credential.ErrNoKey) || took != floor {
				t.Fatalf("%s: %v after %v, want it after %v", name, err, took, floor)
			}
		}
		took, key, err := attempt(t.Context(), a, raw)
		if err != nil || key == nil || took != 0 {
			t.Fatalf("the right secret: %v after %v", err, took)
		}
	})
}

func TestManyAttemptsAtOneIDTakeTheSameTimesWhetherItExists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords()
		raw := r.addPair(t, rightSecret)
		a := newAuthenticator(t, r, nil)
		times := func(raw string) []time.Duration {
			var mu sync.Mutex
			var all []time.Duration
			var group sync.WaitGroup
			for i := range 4 {
				group.Go(func() {
					took, _, err := attempt(t.Context(), a, withSecret(t, raw, wrongSecret+strings.Repeat("x", i)))
					if !errors.Is(err, credential.ErrNoKey) {
						t.Errorf("got %v", err)
					}
					mu.Lock()
					all = append(all, took)
					mu.Unlock()
				})
			}
			group.Wait()
			slices.Sort(all)
			return all
		}
		known, unknown := times(raw), times(unknownPair(t))
		want := []time.Duration{floor, 2 * floor, 3 * floor, 4 * floor}
		if !slices.Equal(known, want) || !slices.Equal(unknown, want) {
			t.Fatalf("known id %v, unknown id %v, want %v", known, unknown, want)
		}
	})
}

func TestARefusalThatTakesLongerMakesTheOthersAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords()
		slow := r.addPair(t, rightSecret)
		for id := range r.byID {
			r.wait[id] = floor + floor/2
		}
		a := newAuthenticator(t, r, nil)
		if took, _, err := attempt(t.Context(), a, withSecret(t, slow, wrongSecret)); !errors.Is(err, credential.ErrNoKey) || took != 2*floor {
			t.Fatalf("the slow one: %v after %v", err, took)
		}
		if took, _, _ := attempt(t.Context(), a, unknownPair(t)); took != 2*floor {
			t.Fatalf("an unknown id is refused after %v, want %v", took, 2*floor)
		}
		time.Sleep(3 * time.Second)
		if took, _, _ := attempt(t.Context(), a, unknownPair(t)); took != floor {
			t.Fatalf("long after, an unknown id is refused after %v, want %v", took, floor)
		}
	})
}

func TestARefusalEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), floor/2)
		defer cancel()
		took, _, err := attempt(ctx, newAuthenticator(t, newRecords(), nil), unknownPair(t))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, credential.ErrNoKey) || took != floor/2 {
			t.Fatalf("%v after %v", err, took)
		}
	})
}

func TestAWithdrawnSecretIsRefusedThoughItOnceProvedRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecords()
		raw := r.addPair(t, rightSecret)
		a := newAuthenticator(t, r, nil)
		if _, _, err := attempt(t.Context(), a, raw); err != nil {
			t.Fatal(err)
		}
		clear(r.byID)
		for range 2 {
			if took, _, err := attempt(t.Context(), a, raw); !errors.Is(err, credential.ErrNoKey) || took != floor {
				t.Fatalf("%v after %v", err, took)
			}
		}
	})
}

func TestAnAuthenticatorNeedsRecordsAndAClock(t *testing.T) {
	if _, err := credential.NewAuthenticator(nil, credential.Options{Clock: time.Now}); err == nil {
		t.Fatal("made without records")
	}
	if _, err := credential.NewAuthenticator(newRecords(), credential.Options{}); err == nil {
		t.Fatal("made without a clock")
	}
}
