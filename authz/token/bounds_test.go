package token_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"postern/authz/admission"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

// over makes a verifier of the foreign issuer's tokens within the limiter.
func over(t *testing.T, l *admission.Limiter, keys token.Keys, c *clock) *token.Verifier {
	t.Helper()
	p := &profile.Profile{Name: "artos", Issuers: []profile.Issuer{foreignRule}}
	v, err := token.NewVerifier(p, "", nil, map[identity.Issuer]token.Keys{foreignName: keys}, token.Options{Clock: c.Now, Limiter: l})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAFloodOfForgeriesIsShedInTimeAndATokenSeenBeforeGoesAhead(t *testing.T) {
	l, err := admission.New(admission.Options{Min: 2, Initial: 2, Max: 2, Queue: 8, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	c := newClock()
	v := over(t, l, foreignKeys(), c)
	good, unseen := signForeign(t, nil), signForeign(t, nil)+"A"
	if _, why, err := verify(t, v, good); why != reason.Unset {
		t.Fatal(why, err)
	}
	c.Advance(11 * time.Second) // it must be verified again
	leave, err := l.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer leave() // the place that the unseen may have
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, why, err := v.Verify(ctx, unseen, identity.DigestOf(unseen))
	if why != reason.Overloaded || !errors.Is(err, admission.ErrShed) || ctx.Err() != nil {
		t.Errorf("an unseen token: %v, %v after %v", why, err, time.Since(began))
	}
	if _, why, err := verify(t, v, good); why != reason.Unset {
		t.Errorf("a token seen before: %v, %v", why, err)
	}
	if v.Seen(identity.DigestOf(unseen)) || !v.Seen(identity.DigestOf(good)) {
		t.Error("what was verified and what was not are mistaken for each other")
	}
}

func TestAnIssuerThatHangsHoldsUpNoOtherTokenAndNoKnownKey(t *testing.T) {
	i, c := newIssuer(t), newClock()
	i.publishes(t, publicJWK(&rsaKey().PublicKey, foreignKid, "sig"))
	keys := i.keys(t, c)
	wantKey(t, keys, foreignKid, nil)
	release := make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	defer free()
	i.does(func(w http.ResponseWriter, _ *http.Request) { <-release })
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 300 { // more than may wait for the fetch
		group.Go(func() {
			for ctx.Err() == nil { // whoever finds no room comes again
				_, _ = keys.Key(ctx, "unknown", token.RS256)
				time.Sleep(time.Millisecond)
			}
		})
	}
	l, err := token.NewLimiter(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for { // until all of them wait, one more does not
		time.Sleep(20 * time.Millisecond) // or this one takes the last place again
		short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began := time.Now()
		_, err := keys.Key(short, "unknown", token.RS256)
		stop()
		if !errors.Is(err, token.ErrUnavailable) {
			t.Fatal(err)
		}
		if !errors.Is(err, context.DeadlineExceeded) && time.Since(began) < 50*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("one too many waits")
		}
	}
	v := over(t, l, keys, c)
	unknown := sign(t, jwt.SigningMethodRS256, rsaKey(), map[string]any{"kid": "unknown"}, foreignClaims(nil))
	if _, why, _ := verify(t, v, unknown); why != reason.Unavailable {
		t.Errorf("a key id nobody could ask for: %v", why)
	}
	if s := l.Stats(); s.Running != 0 {
		t.Errorf("%d hold a place while they wait for keys", s.Running)
	}
	other := over(t, l, foreignKeys(), c) // another issuer, the same bound
	for name, v := range map[string]*token.Verifier{"a known key id": v, "another issuer": other} {
		began := time.Now()
		if _, why, err := verify(t, v, signForeign(t, nil)); why != reason.Unset || time.Since(began) > time.Second {
			t.Errorf("%s: %v, %v after %v", name, why, err, time.Since(began))
		}
	}
	cancel()
	free()
	group.Wait()
}
