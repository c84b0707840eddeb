package sqlite_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/authz/identity"
	"postern/store"
	"postern/store/sqlite"
)

func create(t testing.TB, s *sqlite.Store, id identity.OrgID) store.Organization {
	t.Helper()
	org, err := s.CreateOrganization(t.Context(), "operator", store.Organization{
		Organization: identity.Organization{ID: id, Slug: identity.OrgSlug(id)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return org
}

func TestEveryCommitSurvivesAReopen(t *testing.T) {
	path := migrated(t)
	var want []store.Organization
	for i := range 3 {
		s := open(t, sqlite.Options{Path: path})
		want = append(want, create(t, s, identity.OrgID(fmt.Sprint(i))))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := open(t, sqlite.Options{Path: path}).ListOrganizations(t.Context(), store.Page{Limit: 10})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, %v\nwant %+v", got, err, want)
	}
	for i := 1; i < len(want); i++ {
		if want[i].Revision <= want[i-1].Revision {
			t.Errorf("revision %d after a reopen does not follow %d", want[i].Revision, want[i-1].Revision)
		}
	}
}

// A process that is killed leaves its files as they are at that moment.
func TestACommitSurvivesAKilledProcess(t *testing.T) {
	path := migrated(t)
	s := open(t, sqlite.Options{Path: path})
	var want []store.Organization
	for i := range 5 {
		want = append(want, create(t, s, identity.OrgID(fmt.Sprint(i))))
	}
	left := filepath.Join(t.TempDir(), "postern.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := open(t, sqlite.Options{Path: left}).ListOrganizations(t.Context(), store.Page{Limit: 10})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("found %+v, %v\nwant %+v", got, err, want)
	}
}

// Two stores on one file stand for two processes.
func TestProcessesThatShareAFileChargeExactly(t *testing.T) {
	path := migrated(t)
	stores := []*sqlite.Store{open(t, sqlite.Options{Path: path}), open(t, sqlite.Options{Path: path})}
	create(t, stores[0], "org")
	if _, err := stores[1].TopUp(t.Context(), "operator", "org", 50, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	charged := 0
	for i := range 40 {
		group.Go(func() {
			for n := range 2 {
				_, ok, err := stores[i%2].Reserve(t.Context(), store.Reservation{
					Org: "org", RequestID: fmt.Sprintf("%d-%d", i, n), Cost: 1,
				})
				if err != nil && !errors.Is(err, store.ErrInsufficient) {
					t.Error(err)
				}
				if ok {
					mu.Lock()
					charged++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	for i, s := range stores {
		account, err := s.Account(t.Context(), "org")
		if err != nil || account.Balance != 0 || charged != 50 {
			t.Errorf("store %d: balance %d after %d charges, %v; want 0 after 50", i, account.Balance, charged, err)
		}
	}
}

func TestProcessesThatShareAFileKeepTheKeyLimit(t *testing.T) {
	path := migrated(t)
	stores := []*sqlite.Store{open(t, sqlite.Options{Path: path}), open(t, sqlite.Options{Path: path})}
	create(t, stores[0], "org")
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			key := store.Key{Key: identity.Key{ID: identity.KeyID(fmt.Sprint(i)), Org: "org"}}
			_, err := stores[i%2].CreateKey(t.Context(), "operator", key, store.KeyLimit{Max: 10})
			if err != nil && !errors.Is(err, store.ErrLimit) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	keys, _, err := stores[0].ListKeys(t.Context(), store.KeyFilter{}, store.Page{Limit: 100})
	if err != nil || len(keys) != 10 {
		t.Errorf("%d keys, %v; want 10", len(keys), err)
	}
}

func TestAChangeOfOneProcessIsInTheFeedOfAnother(t *testing.T) {
	path := migrated(t)
	first, second := open(t, sqlite.Options{Path: path}), open(t, sqlite.Options{Path: path})
	for i := range 4 {
		org := create(t, []*sqlite.Store{first, second}[i%2], identity.OrgID(fmt.Sprint(i)))
		for _, s := range []*sqlite.Store{first, second} {
			changes, err := s.ChangesAfter(t.Context(), org.Revision-1, 10)
			if err != nil || len(changes) != 1 || changes[0].Org != org.ID {
				t.Errorf("changes after %d are %+v, %v", org.Revision-1, changes, err)
			}
		}
	}
}

func TestTheClockDatesEventsAndChanges(t *testing.T) {
	now := time.Date(2031, time.May, 6, 7, 8, 9, 123_456_000, time.UTC)
	s := open(t, sqlite.Options{Path: migrated(t), Clock: func() time.Time { return now.In(time.FixedZone("", 3600)) }})
	org := create(t, s, "org")
	changes, err := s.ChangesAfter(t.Context(), 0, 10)
	if err != nil || len(changes) != 1 {
		t.Fatalf("changes are %+v, %v", changes, err)
	}
	events, _, err := s.ListAudit(t.Context(), store.AuditFilter{}, store.Page{Limit: 10})
	if err != nil || len(events) != 1 {
		t.Fatalf("events are %+v, %v", events, err)
	}
	for name, at := range map[string]time.Time{"record": org.CreatedAt, "change": changes[0].At, "event": events[0].At} {
		if at != now {
			t.Errorf("the %s is of %v, want %v", name, at, now)
		}
	}
}

func TestAClosedStoreLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	path := migrated(t)
	s := open(t, sqlite.Options{Path: path})
	create(t, s, "org")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the log is not folded into the file: %v", err)
	}
	goleak.VerifyNone(t, before)
}
