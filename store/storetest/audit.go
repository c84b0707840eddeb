package storetest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func auditTests() []test {
	return []test{
		{"events are listed in the order of their mutations, with who made them", orderedEvents},
		{"switching off and on are different actions", switchingActions},
		{"a list of events keeps to its filter", filteredEvents},
		{"no event tells a secret", eventsWithoutSecrets},
		{"no error repeats the id of a key or a token", errorsWithoutIDs},
	}
}

func orderedEvents(t *testing.T, s store.Store) {
	ctx := t.Context()
	must(s.CreateOrganization(ctx, "first", organization("org")))(t)
	must(s.CreateKey(ctx, "second", key("key"), store.KeyLimit{}))(t)
	must(s.RevokeKey(ctx, "third", "key", day(2)))(t)
	var got []string
	last := identity.Revision(0)
	for _, e := range events(t, s) {
		got = append(got, string(e.Actor)+" "+e.Action+" "+e.Subject)
		if e.Revision <= last {
			t.Errorf("revision %d does not follow %d", e.Revision, last)
		}
		last = e.Revision
	}
	equal(t, "events", got, []string{"first organization.create org", "second key.create key", "third key.revoke key"})
}

func switchingActions(t *testing.T, s store.Store) {
	ctx := t.Context()
	withEverything(t, s)
	before := len(events(t, s))
	for _, off := range []bool{true, false} {
		must(s.SetOrganizationDisabled(ctx, operator, "org", off))(t)
		must(s.SetUserDisabled(ctx, operator, "user", off))(t)
		must(s.SetKeyDisabled(ctx, operator, "key", off))(t)
		must(s.SetPayAsYouGo(ctx, operator, "org", off))(t)
	}
	var got []string
	for _, e := range events(t, s)[before:] {
		got = append(got, e.Action+e.Detail["on"])
	}
	equal(t, "actions", got, []string{
		"organization.disable", "user.disable", "key.disable", "account.pay_as_you_gotrue",
		"organization.enable", "user.enable", "key.enable", "account.pay_as_you_gofalse",
	})
}

func filteredEvents(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")                       // 0
	addOrganization(t, s, "other")                     // 1
	addUser(t, s, "user")                              // 2
	addKey(t, s, key("key"))                           // 3
	addKey(t, s, key("KEY"))                           // 4
	must(s.RevokeKey(ctx, operator, "key", day(2)))(t) // 5
	all := events(t, s)
	for name, c := range map[string]struct {
		filter store.AuditFilter
		want   []int
	}{
		"all":                {store.AuditFilter{}, []int{0, 1, 2, 3, 4, 5}},
		"of an organization": {store.AuditFilter{Org: "org"}, []int{0, 3, 4, 5}},
		"about a subject":    {store.AuditFilter{Subject: "key"}, []int{3, 5}},
		"of an action":       {store.AuditFilter{Action: store.ActionKeyCreate}, []int{3, 4}},
		"of all three":       {store.AuditFilter{Org: "org", Subject: "key", Action: store.ActionKeyRevoke}, []int{5}},
		"of nobody":          {store.AuditFilter{Org: "ORG"}, nil},
	} {
		got, _, err := s.ListAudit(ctx, c.filter, whole())
		succeeds(t, err)
		var want []store.AuditEvent
		for _, i := range c.want {
			want = append(want, all[i])
		}
		equal(t, name, got, want)
	}
}

func eventsWithoutSecrets(t *testing.T, s store.Store) {
	withEverything(t, s)
	for _, m := range mutations() {
		_, _ = m.run(t.Context(), s) // some collide with what others made: all the better
	}
	text, err := json.Marshal(events(t, s))
	succeeds(t, err)
	for _, secret := range []string{"hash-of-", "private-part-of-"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the audit log holds %q: %s", secret, text)
		}
	}
}

func errorsWithoutIDs(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	const pasted = "api_pasted-by-mistake"
	addKey(t, s, key(pasted))
	addToken(t, s, token(pasted))
	orphan := key("orphan-" + pasted)
	orphan.Org = "unknown"
	revoked := key("revoked-" + pasted)
	revoked.RevokedAt = day(1)
	addKey(t, s, revoked)

	var errs []error
	add := func(_ any, err error) { errs = append(errs, err) }
	add(s.CreateKey(ctx, operator, key(pasted), store.KeyLimit{}))
	add(s.CreateKey(ctx, operator, key("new-"+pasted), store.KeyLimit{Max: 1, Now: day(1)}))
	add(s.CreateKey(ctx, operator, orphan, store.KeyLimit{}))
	add(s.Key(ctx, "unknown-"+pasted))
	add(s.RevokeKey(ctx, operator, "unknown-"+pasted, time.Time{}))
	add(s.SetKeyDisabled(ctx, operator, "unknown-"+pasted, true))
	add(s.CreateToken(ctx, operator, token(pasted)))
	add(s.CreateToken(ctx, operator, store.Token{ID: pasted}))
	add(s.Token(ctx, "unknown-"+pasted))
	add(s.TokenState(ctx, identity.TokenRef{ID: "unknown-" + pasted}))
	add(s.RevokeToken(ctx, operator, identity.TokenRef{ID: "unknown-" + pasted}, time.Time{}))
	for _, id := range []identity.KeyID{pasted, "revoked-" + pasted, "unknown-" + pasted} {
		_, _, err := s.RotateKey(ctx, operator, id, key(pasted), day(2))
		errs = append(errs, err)
	}
	for i, err := range errs {
		if err == nil {
			t.Errorf("call %d succeeded, want an error", i)
		} else if strings.Contains(err.Error(), pasted) {
			t.Errorf("error repeats an id: %v", err)
		}
	}
}
