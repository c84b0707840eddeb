package authz_test

import (
	"errors"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/authz/reason"
	"postern/authz/token"
)

func TestWhatCannotBeAskedIsUnavailableAndNeverInvalid(t *testing.T) {
	down := errors.New("the store is down")
	for what, breakIt := range map[string]func(*world){
		"keys":          func(w *world) { w.keys.cold, w.keys.broken = true, down },
		"organizations": func(w *world) { w.orgs.cold, w.orgs.broken = true, down },
		"users":         func(w *world) { w.users.cold, w.users.broken = true, down },
		"memberships":   func(w *world) { w.memberships.cold, w.memberships.broken = true, down },
		"resources":     func(w *world) { w.resources.cold, w.resources.broken = true, down },
	} {
		w := newWorld(t)
		raw := w.key(t, "shop", func(k *identity.Key) { k.User = "ada" })
		breakIt(w)
		d := w.both(t, request("shop.example", "GET", "/projects?project=mine", "authorization", "Bearer "+raw))
		if d.Reason != reason.Unavailable || !errors.Is(d.Cause, down) || d.Answer.Status != 503 {
			t.Errorf("%s: %v, %v", what, d.Reason, d.Cause)
		}
	}
	for what, breakIt := range map[string]func(*world){
		"token keys":   func(w *world) { w.tokens.cold, w.tokens.broken = true, down },
		"token states": func(w *world) { w.states.cold, w.states.broken = true, down },
		"subjects":     func(w *world) { w.subjects.cold, w.subjects.broken = true, down },
		"slugs":        func(w *world) { w.slugs.cold, w.slugs.broken = true, down },
	} {
		w := newWorld(t)
		raw := w.token("slugs", "t", func(c *token.Claims) { c.Org = "" })
		breakIt(w)
		d := w.both(t, request("slugs.example", "GET", "/x", "authorization", "Bearer "+raw, "x-org-slug", "one"))
		if d.Reason != reason.Unavailable || !errors.Is(d.Cause, down) {
			t.Errorf("%s: %v, %v", what, d.Reason, d.Cause)
		}
	}
	w := newWorld(t)
	w.account.broken = down
	d := w.both(t, request("shop.example", "POST", "/jobs", "authorization", "Bearer "+w.key(t, "shop", nil)))
	if d.Reason != reason.Unavailable {
		t.Errorf("credits: %v", d.Reason)
	}
}

func TestAProfileMayDecideByOlderRecordsForAWhile(t *testing.T) {
	w := newWorld(t)
	raw := w.key(t, "patient", nil)
	in := request("patient.example", "GET", "/x", "authorization", "Bearer "+raw)
	w.keys.cold, w.keys.broken = true, errors.New("the store is down")
	w.orgs.cold, w.orgs.broken = true, errors.New("the store is down")
	if d := w.both(t, in); d.Reason != reason.Allowed || !d.Stale {
		t.Errorf("within the window: %v, stale %v", d.Reason, d.Stale)
	}
	unknown := request("patient.example", "GET", "/x", "authorization", "Bearer "+raw)
	w.keys.age = 5 * time.Minute
	if d := w.both(t, unknown); d.Reason != reason.Unavailable || d.Stale {
		t.Errorf("after the window: %v, stale %v", d.Reason, d.Stale)
	}
	w.keys.age, w.keys.broken = 0, nil
	w.orgs.broken = nil
	if d := w.both(t, in); d.Reason != reason.Allowed || d.Stale {
		t.Errorf("once the store is back: %v, stale %v", d.Reason, d.Stale)
	}
}
