package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func changeTests() []test {
	return []test{
		{"an empty store has no changes and revision 0", emptyFeed},
		{"changes are read in order, each once, however few at a time", feedInParts},
		{"a limit below 1 is refused", invalidFeedLimit},
		{"readers who follow concurrent writers see every change once, in order", followedFeed},
		{"what a mutation has returned, the next read sees", readYourWrites},
	}
}

func wakeTests() []test {
	return []test{
		{"everyone who waits is woken by a commit", wokenByCommit},
		{"nobody is woken by what changes nothing, or after ending it", notWoken},
		{"a reader who does not listen holds nobody up", unheardWake},
	}
}

func emptyFeed(t *testing.T, s store.Store) {
	equal(t, "latest", must(s.LatestRevision(t.Context()))(t), identity.Revision(0))
	equal(t, "changes", len(feed(t, s, 0)), 0)
	equal(t, "events", len(events(t, s)), 0)
}

func feedInParts(t *testing.T, s store.Store) {
	ctx := t.Context()
	withEverything(t, s)
	all := feed(t, s, 0)
	equal(t, "latest", must(s.LatestRevision(ctx))(t), all[len(all)-1].Revision)
	for limit := 1; limit <= len(all)+1; limit++ {
		var got []store.Change
		for after := identity.Revision(0); ; after = got[len(got)-1].Revision {
			part := must(s.ChangesAfter(ctx, after, limit))(t)
			if len(part) > limit {
				t.Errorf("%d changes, want at most %d", len(part), limit)
			}
			if len(part) == 0 {
				break
			}
			got = append(got, part...)
		}
		equal(t, fmt.Sprintf("changes in parts of %d", limit), got, all)
	}
	for _, after := range []identity.Revision{all[len(all)-1].Revision, math.MaxInt64, math.MaxUint64} {
		equal(t, "changes after the last", len(feed(t, s, after)), 0)
	}
}

func invalidFeedLimit(t *testing.T, s store.Store) {
	for _, limit := range []int{0, -1, math.MinInt} {
		fails(s.ChangesAfter(t.Context(), 0, limit))(t, store.ErrInvalid)
	}
}

func followedFeed(t *testing.T, s store.Store) {
	withBalance(t, s, 1000)
	const writers, followers, each = 8, 2, 8
	var running atomic.Int32
	running.Store(writers)
	follow := make([][]store.Change, followers)
	for _, err := range concurrently(writers+followers, func(i int) error {
		if i >= writers {
			var err error
			follow[i-writers], err = followed(t, s, running.Load)
			return err
		}
		defer running.Add(-1)
		for n := range each {
			if err := writeSome(t, s, fmt.Sprintf("%d-%d", i, n)); err != nil {
				return err
			}
		}
		return nil
	}) {
		succeeds(t, err)
	}
	all := feed(t, s, 0)
	equal(t, "changes", len(all), 2+writers*each*4)
	for i, seen := range follow {
		if n := firstDifference(seen, all); n >= 0 {
			t.Errorf("reader %d saw %d changes of %d, and another one at place %d", i, len(seen), len(all), n)
		}
	}
}

// firstDifference is the first place where the lists differ, -1 for none.
func firstDifference(a, b []store.Change) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// followed reads the feed, few at a time, until the writers have stopped and it
// has seen all.
func followed(t testing.TB, s store.Store, writers func() int32) ([]store.Change, error) {
	var seen []store.Change
	for after := identity.Revision(0); ; {
		last := writers() == 0
		part, err := s.ChangesAfter(t.Context(), after, 7)
		if err != nil {
			return nil, err
		}
		seen = append(seen, part...)
		if len(part) > 0 {
			after = part[len(part)-1].Revision
		} else if last {
			return seen, nil
		}
		time.Sleep(500 * time.Microsecond) // the writers need the machine too
	}
}

// writeSome makes mutations of one and of two changes, one that fails, and a debit.
func writeSome(t testing.TB, s store.Store, id string) error {
	original, successor := identity.KeyID(id), identity.KeyID(id+"-next")
	if _, err := s.CreateKey(t.Context(), operator, key(original), store.KeyLimit{}); err != nil {
		return err
	}
	if _, err := s.CreateKey(t.Context(), operator, key(original), store.KeyLimit{}); !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("the same key again: %w", err)
	}
	if _, _, err := s.RotateKey(t.Context(), operator, original, key(successor), day(9)); err != nil {
		return err
	}
	if _, _, err := s.Reserve(t.Context(), reservation(id, 1)); err != nil {
		return err
	}
	_, err := s.RevokeKey(t.Context(), operator, original, day(3))
	return err
}

func readYourWrites(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	for _, err := range concurrently(8, func(i int) error {
		id := identity.KeyID(fmt.Sprint(i))
		created, err := s.CreateKey(t.Context(), operator, key(id), store.KeyLimit{})
		if err != nil {
			return err
		}
		for range 10 {
			created, err = s.SetKeyDisabled(t.Context(), operator, id, !created.Disabled)
			if err != nil {
				return err
			}
			found, err := s.KeyByDigest(t.Context(), created.Digest)
			if err != nil {
				return err
			}
			if found.Revision != created.Revision || found.Disabled != created.Disabled {
				return fmt.Errorf("read revision %d after writing %d", found.Revision, created.Revision)
			}
			if latest, err := s.LatestRevision(t.Context()); err != nil || latest < created.Revision {
				return fmt.Errorf("latest revision is %d after writing %d: %w", latest, created.Revision, err)
			}
		}
		return nil
	}) {
		succeeds(t, err)
	}
}

func wokenByCommit(t *testing.T, s store.Store) {
	first, endFirst := s.Wake()
	defer endFirst()
	second, endSecond := s.Wake()
	defer endSecond()
	addOrganization(t, s, "org")
	for i, wake := range []<-chan struct{}{first, second, first, second} {
		deadline := time.After(patience)
		for woken := false; !woken; {
			select {
			case <-wake:
				woken = true
			case <-deadline:
				t.Fatalf("reader %d was not woken", i%2)
			case <-time.After(patience / 20): // one may be lost: the next commit makes up for it
				must(s.TopUp(t.Context(), operator, "org", 1, "", day(1)))(t)
			}
		}
		must(s.TopUp(t.Context(), operator, "org", 1, "", day(1)))(t)
	}
}

func notWoken(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	addKey(t, s, key("key"))
	ended, end := s.Wake()
	end()
	end() // twice is fine
	addUser(t, s, "user")

	listening, stop := s.Wake()
	defer stop()
	untilQuiet(t, listening) // a hint of an earlier commit may come late
	must(s.SetKeyDisabled(t.Context(), operator, "key", false))(t)
	fails(s.CreateKey(t.Context(), operator, key("key"), store.KeyLimit{}))(t, store.ErrConflict)
	select {
	case _, open := <-ended:
		t.Errorf("woken after the end, channel open: %v", open)
	case <-listening:
		t.Error("woken by what changed nothing")
	case <-time.After(100 * time.Millisecond):
	}
}

// untilQuiet takes wake-ups until there are none.
func untilQuiet(t testing.TB, wake <-chan struct{}) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case <-wake:
		case <-time.After(100 * time.Millisecond):
			return
		case <-deadline:
			t.Fatal("woken all the time")
		}
	}
}

// wakes checks that the action wakes whoever waits, repeating it as hints may be lost.
func wakes(t testing.TB, wake <-chan struct{}, action func()) {
	t.Helper()
	untilQuiet(t, wake)
	for deadline := time.After(patience); ; {
		action()
		select {
		case <-wake:
			return
		case <-time.After(patience / 20):
		case <-deadline:
			t.Fatal("not woken")
		}
	}
}

func unheardWake(t *testing.T, s store.Store) {
	_, end := s.Wake()
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 20 {
		must(s.CreateUser(ctx, operator, user(identity.UserID(fmt.Sprint(i)))))(t)
	}
}
