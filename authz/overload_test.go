package authz_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"postern/authz"
	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/reason"
)

// busyKeys shed every load, or hold it.
type busyKeys struct {
	memoryKeys
	hold chan struct{} // nil: shed
	held chan struct{}
}

func (b busyKeys) Load(context.Context, *credential.Format, string, identity.Digest) (identity.Key, authz.Presence, error) {
	if b.hold != nil {
		b.held <- struct{}{}
		<-b.hold
	}
	return identity.Key{}, authz.Busy, errors.New("too much is under way")
}

func (w *world) with(t *testing.T, keys authz.Keys, most int) *authz.Engine {
	t.Helper()
	engine, err := authz.NewEngine(w.Snapshot(), authz.Ports{
		Keys: keys, Organizations: w.orgs, Slugs: w.slugs, Users: w.users, Subjects: w.subjects,
		Memberships: w.memberships, TokenStates: w.states, Resources: w.resources, Ledger: w.account,
	}, authz.Options{Clock: time.Now, MaxResolves: most})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

func TestTheLastPlacesAreForKnownCredentials(t *testing.T) {
	w := newWorld(t)
	good := w.key(t, "shop", nil)
	strangers := make([]string, 8)
	for i := range strangers { // minted, and of no record
		strangers[i] = w.key(t, "shop", nil)
		delete(w.keys.records, identity.DigestOf(strangers[i]))
	}
	w.keys.cold = true
	keys := busyKeys{memoryKeys{w.keys}, make(chan struct{}), make(chan struct{})}
	engine := w.with(t, keys, 8)
	var group sync.WaitGroup
	for _, raw := range strangers[:6] {
		in := request("shop.example", "GET", "/free", "authorization", "Bearer "+raw)
		group.Go(func() { engine.Resolve(t.Context(), in.Own(), &authz.Decision{}) })
		<-keys.held
	}
	var d authz.Decision
	seventh := request("shop.example", "GET", "/free", "authorization", "Bearer "+strangers[6])
	if engine.Resolve(t.Context(), seventh.Own(), &d); d.Reason != reason.Overloaded || d.Answer.Status != 503 {
		t.Errorf("a stranger at three quarters: %v", d.Reason)
	}
	known := request("shop.example", "GET", "/free", "authorization", "Bearer "+good)
	for range 2 {
		group.Go(func() { engine.Resolve(t.Context(), known.Own(), &authz.Decision{}) })
		<-keys.held // it has a place, and asks
	}
	if engine.Resolve(t.Context(), known.Own(), &d); d.Reason != reason.Overloaded {
		t.Errorf("when all places are taken: %v", d.Reason)
	}
	close(keys.hold)
	group.Wait()
}

func TestAMeteredRequestOfAKnownKeyIsServedInAFloodOfStrangers(t *testing.T) {
	w := newWorld(t)
	good, stranger := w.key(t, "shop", nil), "" // cached: it only needs the debit
	engine := w.with(t, memoryKeys{w.keys}, 4)
	stranger = w.key(t, "shop", nil)
	var inner []reason.Reason
	in := request("shop.example", "POST", "/jobs", "authorization", "Bearer "+good)
	depth := 0
	w.account.during = func() { // three debits under way, then a stranger and one more
		if depth++; depth < 3 {
			engine.Resolve(t.Context(), in.Own(), &authz.Decision{})
			return
		}
		if depth > 3 {
			return
		}
		delete(w.keys.records, identity.DigestOf(stranger))
		var d authz.Decision
		other := request("shop.example", "POST", "/jobs", "authorization", "Bearer "+stranger)
		engine.Resolve(t.Context(), other.Own(), &d)
		inner = append(inner, d.Reason)
		engine.Resolve(t.Context(), in.Own(), &d)
		inner = append(inner, d.Reason)
	}
	engine.Resolve(t.Context(), in.Own(), &authz.Decision{})
	if len(inner) != 2 || inner[0] != reason.Overloaded || inner[1] != reason.Allowed {
		t.Errorf("the stranger and the known key: %v", inner)
	}
}

func TestAShedKeyIsOverloadedAndNeverInvalid(t *testing.T) {
	w := newWorld(t)
	w.keys.cold = true
	engine := w.with(t, busyKeys{memoryKeys: memoryKeys{w.keys}}, 8)
	var d authz.Decision
	for name, host := range map[identity.ProfileName]string{"shop": "shop.example", "patient": "patient.example"} {
		known, stranger := w.key(t, name, nil), w.key(t, name, nil)
		delete(w.keys.records, identity.DigestOf(stranger)) // an absence that was seen
		in := request(host, "GET", "/free", "authorization", "Bearer "+stranger)
		if engine.Resolve(t.Context(), in.Own(), &d); d.Reason != reason.Overloaded || d.Answer.Status != 503 {
			t.Errorf("%s: a stranger: %v", name, d.Reason)
		}
		in = request(host, "GET", "/free", "authorization", "Bearer "+known)
		engine.Resolve(t.Context(), in.Own(), &d)
		if name == "patient" && (d.Reason != reason.Allowed || !d.Stale) {
			t.Errorf("%s: a known key where older records may serve: %v, stale %v", name, d.Reason, d.Stale)
		}
		if name == "shop" && d.Reason != reason.Overloaded {
			t.Errorf("%s: a known key: %v", name, d.Reason)
		}
	}
}
