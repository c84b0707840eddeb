package storetest

import (
	"context"
	"fmt"
	"math"
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
		{"a reader who follows concurrent writers misses no change", followedFeed},
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
	addOrganization(t, s, "org")
	const writers, each = 8, 20
	done := make(chan []error)
	go func() {
		done <- concurrently(writers, func(w int) error {
			for i := range each {
				if _, err := s.CreateKey(t.Context(), operator, key(identity.KeyID(fmt.Sprintf("%d-%d", w, i))), store.KeyLimit{}); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	var seen []store.Change
	follow := func() {
		after := identity.Revision(0)
		if len(seen) > 0 {
			after = seen[len(seen)-1].Revision
		}
		seen = append(seen, must(s.ChangesAfter(t.Context(), after, 7))(t)...)
	}
	for running := true; running; follow() {
		select {
		case errs := <-done:
			for _, err := range errs {
				succeeds(t, err)
			}
			running = false
		default:
		}
	}
	for before := -1; before != len(seen); follow() {
		before = len(seen)
	}
	equal(t, "changes seen", len(seen), 1+writers*each)
	equal(t, "changes", seen, feed(t, s, 0))
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

func unheardWake(t *testing.T, s store.Store) {
	_, end := s.Wake()
	defer end()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 20 {
		must(s.CreateUser(ctx, operator, user(identity.UserID(fmt.Sprint(i)))))(t)
	}
}
