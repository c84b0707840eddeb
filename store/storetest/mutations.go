package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func mutationTests() []test {
	tests := []test{
		{"a mutation whose caller is gone writes nothing", cancelledMutations},
		{"a mutation cut short has happened whole or not at all", interruptedMutations},
		{"a mutation that fails for its limit or its references writes nothing", failedMutations},
		{"debits and releases write no event and no change", debitsAreNotRecorded},
		{"concurrent mutations get revisions of their own", revisionsUnderConcurrency},
	}
	for _, m := range mutations() {
		tests = append(tests, test{m.action + " of " + m.subject + " is recorded once", m.isRecorded})
	}
	return tests
}

// written is what the store says about its mutations.
type written struct {
	latest  identity.Revision
	events  []store.AuditEvent
	changes []store.Change
}

func readWritten(t testing.TB, s store.Store) written {
	t.Helper()
	return written{
		latest:  must(s.LatestRevision(t.Context()))(t),
		events:  events(t, s),
		changes: feed(t, s, 0),
	}
}

// isRecorded runs the mutation, and then again.
func (m mutation) isRecorded(t *testing.T, s store.Store) {
	withEverything(t, s)
	before := readWritten(t, s)
	revision := must(m.run(t.Context(), s))(t)
	after := readWritten(t, s)

	equal(t, "events", len(after.events), len(before.events)+1)
	event := after.events[len(after.events)-1]
	if revision == 0 {
		revision = event.Revision
	}
	if event.At.IsZero() || event.At.Location() != time.UTC {
		t.Errorf("the event is of %v, want a time in UTC", event.At)
	}
	equal(t, "event", event, store.AuditEvent{
		Revision: revision, At: event.At, Actor: operator,
		Action: m.action, Subject: m.subject, Org: m.org, Detail: m.detail,
	})
	m.wantChanges(t, after.changes[len(before.changes):], before.latest, revision)

	_, err := m.run(t.Context(), s)
	if m.repeats {
		succeeds(t, err)
		equal(t, "events of a second one", len(events(t, s)), len(after.events)+1)
		return
	}
	if m.again != nil {
		wantError(t, err, m.again)
	} else {
		succeeds(t, err)
		same, _ := m.run(t.Context(), s)
		if same != 0 {
			equal(t, "revision of a record that did not change", same, revision)
		}
	}
	equal(t, "written by a second one", readWritten(t, s), after)
}

// wantChanges checks the changes, whatever their order, and that the mutation's
// revision is that of one of them.
func (m mutation) wantChanges(t testing.TB, changes []store.Change, before, revision identity.Revision) {
	t.Helper()
	equal(t, "changes", len(changes), len(m.changes))
	named := false
	for _, c := range changes {
		if c.Revision <= before {
			t.Errorf("revision %d does not follow %d", c.Revision, before)
		}
		if c.At.IsZero() || c.At.Location() != time.UTC {
			t.Errorf("the change is of %v, want a time in UTC", c.At)
		}
		before, named = c.Revision, named || c.Revision == revision
		c.Revision, c.At = 0, time.Time{}
		if !slices.Contains(m.changes, c) {
			t.Errorf("change %+v is none of %+v", c, m.changes)
		}
	}
	if !named {
		t.Errorf("no change has the revision %d of the mutation", revision)
	}
}

func cancelledMutations(t *testing.T, s store.Store) {
	withEverything(t, s)
	before := readWritten(t, s)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, m := range mutations() {
		_, err := m.run(gone, s)
		wantUnanswered(t, err)
	}
	_, _, err := s.Reserve(gone, reservation("request", 1))
	wantUnanswered(t, err)
	wantUnanswered(t, s.Release(gone, reservation("request", 1)))
	equal(t, "written", readWritten(t, s), before)
	wantLedger(t, s, "org", 0, 0)
}

func interruptedMutations(t *testing.T, s store.Store) {
	withEverything(t, s)
	for i := range 60 {
		before := readWritten(t, s)
		id := identity.KeyID(fmt.Sprintf("cut-%d", i))
		short, cancel := context.WithTimeout(t.Context(), time.Duration(i)*30*time.Microsecond)
		created, err := s.CreateKey(short, operator, key(id), store.KeyLimit{})
		cancel()

		after := readWritten(t, s)
		kept, missing := s.Key(t.Context(), id)
		if missing != nil {
			wantError(t, missing, store.ErrNotFound)
			wantUnanswered(t, err)
			equal(t, "written by a mutation that did not happen", after, before)
			continue
		}
		if err == nil {
			equal(t, "kept", kept, created)
		}
		equal(t, "events", len(after.events), len(before.events)+1)
		equal(t, "changes", len(after.changes), len(before.changes)+1)
		equal(t, "revision", after.latest, kept.Revision)
	}
}

func failedMutations(t *testing.T, s store.Store) {
	ctx := t.Context()
	withEverything(t, s)
	before := readWritten(t, s)
	fails(s.CreateKey(ctx, operator, key("new"), store.KeyLimit{Max: 1, Now: day(1)}))(t, store.ErrLimit)
	orphan := key("new")
	orphan.Org = "unknown"
	fails(s.CreateKey(ctx, operator, orphan, store.KeyLimit{}))(t, store.ErrReference)
	taken := key("new")
	taken.Digest = identity.DigestOf("key")
	_, _, err := s.RotateKey(ctx, operator, "key", taken, day(3))
	wantError(t, err, store.ErrConflict)
	fails(s.PutMembership(ctx, operator, membership("org", "unknown", day(1))))(t, store.ErrReference)
	fails(s.TopUp(ctx, operator, "org", -1, "", day(1)))(t, store.ErrInvalid)
	fails(s.SetKeyDisabled(ctx, operator, "unknown", true))(t, store.ErrNotFound)
	equal(t, "written", readWritten(t, s), before)
}

func debitsAreNotRecorded(t *testing.T, s store.Store) {
	withBalance(t, s, 10)
	before := readWritten(t, s)
	reserve(t, s, reservation("request", 4), 6, true)
	reserve(t, s, reservation("request", 4), 6, false)
	succeeds(t, s.Release(t.Context(), reservation("request", 4)))
	_, _, err := s.Reserve(t.Context(), reservation("dear", 11))
	wantError(t, err, store.ErrInsufficient)
	equal(t, "written", readWritten(t, s), before)
}

func revisionsUnderConcurrency(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	revisions := make([]identity.Revision, 32)
	for _, err := range concurrently(len(revisions), func(i int) error {
		created, err := s.CreateKey(t.Context(), operator, key(identity.KeyID(fmt.Sprint(i))), store.KeyLimit{})
		revisions[i] = created.Revision
		return err
	}) {
		succeeds(t, err)
	}
	slices.Sort(revisions)
	equal(t, "different revisions", len(slices.Compact(revisions)), 32)
	equal(t, "the largest", must(s.LatestRevision(t.Context()))(t), revisions[31])
}
