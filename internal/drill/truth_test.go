package drill_test

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"postern/authz/credential"
)

// key is an API key and what the drill knows of it.
type key struct {
	id, secret string // no id: no store has it

	mu       sync.Mutex
	revoking time.Time            // when its revocation was asked for first; zero: never
	refused  time.Time            // from when on nobody may allow it; zero: not known
	pending  map[string]time.Time // but these replicas, by id, until then
}

// unknown is a well-formed key that nobody made.
func unknown() *key {
	minted, err := (&credential.Format{Layout: credential.Opaque, Prefix: "api_", Checksum: true, Hash: credential.SHA256}).Mint(rand.Reader)
	if err != nil {
		panic(err) // the format is fixed
	}
	return &key{secret: minted.Raw.Reveal()}
}

func (k *key) ask() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revoking.IsZero() {
		k.revoking = time.Now()
	}
}

// refuse notes that no request which begins after the moment may be allowed, but
// by replicas that were said to be pending.
func (k *key) refuse(from time.Time, pending map[string]time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused, k.pending = from, pending
}

// mayAllow is asked with the lock held.
func (k *key) mayAllow(a answer) bool {
	return k.id != "" && (k.refused.IsZero() || !a.began.After(k.refused) || !a.began.After(k.pending[a.id]))
}

// answer is what one request got.
type answer struct {
	began, ended time.Time
	replica, id  string // its name, and its id when the request began
	status       int    // what a client of Envoy would see; 0: no answer in time, or nobody there
	reason       string // the true one
}

type verdict int

const (
	right verdict = iota
	wrong
	unavailable // answered 503
	unanswered  // too late, or no connection: Envoy answers 503 itself
)

// judge holds an answer against what is known of the key.
func (k *key) judge(a answer) verdict {
	k.mu.Lock()
	defer k.mu.Unlock()
	asked := !k.revoking.IsZero() && k.revoking.Before(a.ended)
	switch {
	case a.status == 0:
		return unanswered
	case a.status == http.StatusServiceUnavailable && (a.reason == "unavailable" || a.reason == "overloaded"): // could not be asked, or was not in time
		return unavailable
	case a.status == http.StatusOK && k.mayAllow(a),
		a.status == http.StatusUnauthorized && a.reason == "revoked" && asked,
		a.status == http.StatusUnauthorized && a.reason == "invalid_credential" && k.id == "":
		return right
	}
	return wrong
}

// about says what is known, for an answer that was wrong.
func (k *key) about(a answer) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	since := func(moment time.Time) string {
		if moment.IsZero() {
			return "never"
		}
		return fmt.Sprintf("%v before", a.began.Sub(moment).Round(time.Millisecond))
	}
	return fmt.Sprintf("%s answered %d %s in %v to key %q (revocation asked for: %s; to be refused: %s; pending until then: %v)",
		a.replica, a.status, a.reason, a.ended.Sub(a.began).Round(time.Millisecond), k.id, since(k.revoking), since(k.refused), since(k.pending[a.id]))
}

// ring is the keys in use: slots with an active one each, and those that were
// revoked.
type ring struct {
	mu      sync.Mutex
	active  []*key
	revoked []*key
}

// pick takes an active key, now and then a revoked one, and rarely an unknown one.
func (r *ring) pick() *key {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch n := mathrand.IntN(100); {
	case n < 5 || len(r.active) == 0:
		return unknown()
	case n < 30 && len(r.revoked) > 0:
		recent := r.revoked[max(0, len(r.revoked)-50):]
		return recent[mathrand.IntN(len(recent))]
	default:
		return r.active[mathrand.IntN(len(r.active))]
	}
}

// take removes an active key, to be revoked; nil where only a few are left.
func (r *ring) take() *key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.active) < keys/5 {
		return nil
	}
	i := mathrand.IntN(len(r.active))
	k := r.active[i]
	r.active = append(r.active[:i], r.active[i+1:]...)
	r.revoked = append(r.revoked, k)
	return k
}

func (r *ring) add(k *key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.active = append(r.active, k)
}

// first is the key that has been in use for the longest.
func (r *ring) first() *key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.active[0]
}

func (r *ring) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.active)
}

// patience is how long Envoy waits for a Check, in the reference configuration.
const patience = 500 * time.Millisecond

var requests atomic.Int64 // numbers them, like Envoy's ids

// request is one Check of the profile authenta as Envoy sends it.
func request(method, secret string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: map[string]string{"profile": "authenta"},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: fmt.Sprint("request-", requests.Add(1)), Method: method, Path: "/api/v1/jobs", Host: "127.0.0.1",
			HeaderMap: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: "authorization", RawValue: []byte("Bearer " + secret)}}},
		}},
	}}
}

// ask sends a Check and waits as long as the context and the bound allow.
func (r *replica) ask(ctx context.Context, q *authv3.CheckRequest, bound time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	a := answer{replica: r.name, id: *r.id.Load(), began: time.Now()}
	response, err := r.check.Check(ctx, q)
	a.ended = time.Now()
	if err != nil {
		return a
	}
	a.reason = response.GetDynamicMetadata().GetFields()["postern"].GetStructValue().GetFields()["reason"].GetStringValue()
	switch denied := response.GetDeniedResponse(); {
	case denied != nil:
		a.status = int(denied.GetStatus().GetCode())
	case response.GetStatus().GetCode() == 0:
		a.status = http.StatusOK
	}
	return a
}
