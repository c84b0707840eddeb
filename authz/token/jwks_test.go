package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"postern/authz/reason"
	"postern/authz/token"
)

func newRSASmall(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issuer is a real HTTP server that publishes a key set.
type issuer struct {
	*httptest.Server
	requests atomic.Int64
	mu       sync.Mutex
	answer   http.HandlerFunc
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.requests.Add(1)
		i.mu.Lock()
		answer := i.answer
		i.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) does(answer http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

func (i *issuer) publishes(t *testing.T, keys ...jose.JSONWebKey) {
	text := document(t, keys...)
	i.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
}

func (i *issuer) fails() {
	i.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
}

func (i *issuer) keys(t *testing.T, c *clock) *token.JWKSURL {
	t.Helper()
	keys, err := token.NewJWKSURL(i.URL+"/jwks", i.Client(), c.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return keys
}

func wantKey(t *testing.T, keys token.Keys, kid string, want error) {
	t.Helper()
	key, err := keys.Key(t.Context(), kid, token.RS256)
	if !errors.Is(err, want) || (want == nil) != (key != nil) {
		t.Fatalf("key %q: %v, %v; want %v", kid, key, err, want)
	}
}

func TestOnlyKeysThatMayVerifyAreTakenFromAKeySet(t *testing.T) {
	i := newIssuer(t)
	public := &rsaKey().PublicKey
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other := publicJWK(public, "other-alg", "sig")
	other.Algorithm = "RS512"
	i.publishes(t,
		publicJWK(public, "sig", "sig"), publicJWK(public, "no-use", ""), publicJWK(public, "enc", "enc"), publicJWK(public, "", "sig"), other,
		publicJWK([]byte(strings.Repeat("s", 32)), "secret", "sig"), publicJWK(&p384.PublicKey, "p384", "sig"),
		publicJWK(&newRSASmall(t).PublicKey, "small", "sig"), publicJWK(rsaKey(), "private", "sig"), publicJWK(&newEC(t).PublicKey, "ec", "sig"),
	)
	keys := i.keys(t, newClock())
	for _, kid := range []string{"sig", "no-use"} {
		wantKey(t, keys, kid, nil)
	}
	for _, kid := range []string{"enc", "secret", "p384", "small", "private", "other-alg", ""} {
		wantKey(t, keys, kid, token.ErrUnknownKey)
	}
	if _, err := keys.Key(t.Context(), "ec", token.ES256); err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{token.RS256, token.EdDSA, token.HS256, "none", ""} {
		if _, err := keys.Key(t.Context(), "ec", algorithm); !errors.Is(err, token.ErrUnknownKey) {
			t.Fatalf("an EC key verifies %q: %v", algorithm, err)
		}
	}
	if _, err := keys.Key(t.Context(), "secret", token.HS256); !errors.Is(err, token.ErrUnknownKey) {
		t.Fatalf("a published secret verifies: %v", err)
	}
}

func TestAKeySetWithAnUnknownTypeOfKeyIsStillRead(t *testing.T) {
	i := newIssuer(t)
	good := string(document(t, publicJWK(&rsaKey().PublicKey, "good", "sig")))
	i.does(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Replace(good, `[`, `[{"kty":"new","kid":"x"},7,{"kty":"RSA","kid":"broken","n":"!","e":"AQAB"},`, 1)))
	})
	keys := i.keys(t, newClock())
	wantKey(t, keys, "good", nil)
	wantKey(t, keys, "", nil) // the only key needs no name
}

func TestKeysRotateWithoutAnOutageAndOutliveOne(t *testing.T) {
	i, c := newIssuer(t), newClock()
	keys := i.keys(t, c)
	old, fresh := publicJWK(&rsaKey().PublicKey, foreignKid, "sig"), publicJWK(&otherRSAKey().PublicKey, "foreign-2", "sig")

	i.fails()
	wantKey(t, keys, foreignKid, token.ErrUnavailable)
	v := newVerifier(t, newRing(t), keys, c)
	if _, why, _ := verify(t, v, signForeign(t, nil)); why != reason.Unavailable {
		t.Fatalf("with no keys at all a token is %v", why)
	}

	c.Advance(time.Second)
	i.publishes(t, old)
	wantKey(t, keys, foreignKid, nil)

	// The issuer rotates: the new kid is fetched at once.
	i.publishes(t, old, fresh)
	wantKey(t, keys, "foreign-2", nil)

	// A flood of unknown kids costs one fetch in ten seconds.
	before := i.requests.Load()
	for range 20 {
		wantKey(t, keys, "unknown", token.ErrUnknownKey)
	}
	if got := i.requests.Load() - before; got != 0 {
		t.Fatalf("%d fetches within ten seconds", got)
	}
	c.Advance(10 * time.Second)
	for range 20 {
		wantKey(t, keys, "unknown", token.ErrUnknownKey)
	}
	if got := i.requests.Load() - before; got != 1 {
		t.Fatalf("%d fetches after ten seconds, want 1", got)
	}

	// An outage leaves the last good set in force. What is not in it may be
	// a new key: nobody knows.
	i.fails()
	c.Advance(10 * time.Minute)
	wantKey(t, keys, "unknown", token.ErrUnavailable)
	wantKey(t, keys, foreignKid, nil)
	if _, why, err := verify(t, newVerifier(t, newRing(t), keys, newClock()), signForeign(t, nil)); why != reason.Unset {
		t.Fatal(why, err)
	}

	// The outage ends, and the old key is withdrawn.
	i.publishes(t, fresh)
	c.Advance(10 * time.Second)
	wantKey(t, keys, "unknown", token.ErrUnknownKey)
	wantKey(t, keys, foreignKid, token.ErrUnknownKey)
	wantKey(t, keys, "foreign-2", nil)
}

func TestAnOldSetIsRefreshedInTheBackground(t *testing.T) {
	i, c := newIssuer(t), newClock()
	keys := i.keys(t, c)
	i.publishes(t, publicJWK(&rsaKey().PublicKey, "old", "sig"))
	wantKey(t, keys, "old", nil)
	asked, release := make(chan struct{}), make(chan struct{})
	text := document(t, publicJWK(&rsaKey().PublicKey, "fresh", "sig"))
	i.does(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = w.Write(text)
	})
	c.Advance(5*time.Minute - time.Second)
	wantKey(t, keys, "old", nil)
	if i.requests.Load() != 1 {
		t.Fatal("refreshed too early")
	}
	c.Advance(time.Second)
	for range 10 {
		wantKey(t, keys, "old", nil) // does not wait for the fetch
	}
	<-asked
	close(release)
	wantKey(t, keys, "fresh", nil) // waits for the one under way
	if got := i.requests.Load(); got != 2 {
		t.Fatalf("%d fetches, want 2", got)
	}
}

func TestManyCallersShareOneFetchThatOutlivesThem(t *testing.T) {
	i := newIssuer(t)
	asked, release := make(chan struct{}), make(chan struct{})
	text := document(t, publicJWK(&rsaKey().PublicKey, "kid", "sig"))
	i.does(func(w http.ResponseWriter, _ *http.Request) {
		close(asked) // panics at a second fetch
		<-release
		_, _ = w.Write(text)
	})
	keys := i.keys(t, newClock())
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := keys.Key(ctx, "kid", token.RS256); left <- err }()
	<-asked
	cancel()
	if err := <-left; !errors.Is(err, token.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Fatalf("who leaves gets %v", err)
	}
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := keys.Key(t.Context(), "kid", token.RS256); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	group.Wait()
	if got := i.requests.Load(); got != 1 {
		t.Fatalf("%d fetches, want 1", got)
	}
}

func TestCloseEndsAFetchThatHangs(t *testing.T) {
	i := newIssuer(t)
	asked, release := make(chan struct{}), make(chan struct{})
	i.does(func(http.ResponseWriter, *http.Request) { close(asked); <-release })
	defer close(release)
	keys := i.keys(t, newClock())
	waiting := make(chan error)
	go func() { _, err := keys.Key(context.Background(), "kid", token.RS256); waiting <- err }()
	<-asked
	if err := keys.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, token.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	wantKey(t, keys, "kid", token.ErrUnavailable)
}

func TestAnAnswerThatIsNoKeySetIsAnOutage(t *testing.T) {
	elsewhere := newIssuer(t)
	elsewhere.publishes(t, publicJWK(&rsaKey().PublicKey, "kid", "sig"))
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"an error page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }},
		{"an object without keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }},
		{"another status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }},
		{"more than a megabyte", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[]}` + strings.Repeat(" ", 1<<20)))
		}},
		{"a redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}},
		{"a redirect without an end", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := newIssuer(t)
			i.does(test.answer)
			wantKey(t, i.keys(t, newClock()), "kid", token.ErrUnavailable)
		})
	}
	if elsewhere.requests.Load() != 0 {
		t.Fatal("the other host was asked")
	}
}

func TestAKeySetNeedsAnAddressAndAClock(t *testing.T) {
	for _, address := range []string{"", "/jwks", "file:///jwks", "://"} {
		if _, err := token.NewJWKSURL(address, &http.Client{}, time.Now); err == nil {
			t.Fatalf("accepted %q", address)
		}
	}
	if _, err := token.NewJWKSURL("https://login.test/jwks", nil, time.Now); err == nil {
		t.Fatal("accepted no client")
	}
	if _, err := token.NewJWKSFile("", time.Now); err == nil {
		t.Fatal("accepted no path")
	}
}

func TestAKeyFileIsReadAgainWhenItChangesAndTheLastGoodOneStays(t *testing.T) {
	c, path := newClock(), filepath.Join(t.TempDir(), "jwks.json")
	keys, err := token.NewJWKSFile(path, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	written := epoch
	write := func(text []byte) {
		t.Helper()
		written = written.Add(time.Minute)
		if err := errors.Join(os.WriteFile(path, text, 0o600), os.Chtimes(path, written, written)); err != nil {
			t.Fatal(err)
		}
	}
	old, fresh := publicJWK(&rsaKey().PublicKey, "old", "sig"), publicJWK(&rsaKey().PublicKey, "fresh", "sig")

	wantKey(t, keys, "old", token.ErrUnavailable)
	write(document(t, old))
	wantKey(t, keys, "old", token.ErrUnavailable) // looked less than a second ago
	c.Advance(time.Second)
	wantKey(t, keys, "old", nil)
	wantKey(t, keys, "fresh", token.ErrUnknownKey)

	write(document(t, fresh))
	wantKey(t, keys, "old", nil)
	c.Advance(time.Second)
	wantKey(t, keys, "fresh", nil)
	wantKey(t, keys, "old", token.ErrUnknownKey)

	write([]byte("{"))
	c.Advance(time.Second)
	wantKey(t, keys, "fresh", nil)
	wantKey(t, keys, "old", token.ErrUnavailable)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Second)
	wantKey(t, keys, "fresh", nil)

	write(document(t, old))
	c.Advance(time.Second)
	wantKey(t, keys, "old", nil)
	wantKey(t, keys, "fresh", token.ErrUnknownKey)
}
