package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store"
	"postern/store/postgres"
)

const operator = store.Actor("operator")

// pair opens two stores of one database: two servers.
func pair(t testing.TB) []*postgres.Store {
	t.Helper()
	url := server.URL(migrated(t))
	return []*postgres.Store{open(t, url), open(t, url)}
}

func create(t testing.TB, s *postgres.Store, id identity.OrgID) store.Organization {
	t.Helper()
	org, err := s.CreateOrganization(t.Context(), operator, store.Organization{
		Organization: identity.Organization{ID: id, Slug: identity.OrgSlug(id)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return org
}

func TestServersThatShareADatabaseChargeExactly(t *testing.T) {
	stores := pair(t)
	create(t, stores[0], "org")
	if _, err := stores[1].TopUp(t.Context(), operator, "org", 50, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	charged := 0
	for i := range 40 {
		group.Go(func() {
			for n := range 3 { // the third repeats the first
				_, ok, err := stores[(i+n)%2].Reserve(t.Context(), store.Reservation{
					Org: "org", RequestID: fmt.Sprintf("%d-%d", i, n%2), Cost: 1,
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

func TestServersThatShareADatabaseKeepTheKeyLimit(t *testing.T) {
	stores := pair(t)
	create(t, stores[0], "org")
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			key := store.Key{Key: identity.Key{ID: identity.KeyID(fmt.Sprint(i)), Org: "org"}}
			_, err := stores[i%2].CreateKey(t.Context(), operator, key, store.KeyLimit{Max: 10})
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

func TestAFollowerOfEachServerSeesTheWritesOfAllOnceAndInOrder(t *testing.T) {
	stores := pair(t)
	const writers, each = 8, 15
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				id := identity.OrgID(fmt.Sprintf("%d-%d", w, i))
				org := store.Organization{Organization: identity.Organization{ID: id, Slug: identity.OrgSlug(id)}}
				if _, err := stores[w%2].CreateOrganization(t.Context(), operator, org); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var seen [2][]store.Change
	for i, s := range stores {
		group.Go(func() {
			deadline := time.Now().Add(20 * time.Second)
			for after := identity.Revision(0); len(seen[i]) < writers*each && time.Now().Before(deadline); {
				changes, err := s.ChangesAfter(t.Context(), after, 3)
				if err != nil {
					t.Error(err)
					return
				}
				seen[i] = append(seen[i], changes...)
				if len(changes) > 0 {
					after = changes[len(changes)-1].Revision
				}
			}
		})
	}
	group.Wait()
	all, err := stores[0].ChangesAfter(t.Context(), 0, 1000)
	if err != nil || len(all) != writers*each {
		t.Fatalf("%d changes, %v", len(all), err)
	}
	for i := range seen {
		if !slices.Equal(seen[i], all) {
			t.Errorf("the follower of server %d saw %d changes of %d, or others", i, len(seen[i]), len(all))
		}
	}
}

func TestACommitAndABeatWakeEveryServer(t *testing.T) {
	stores := pair(t)
	for i, s := range stores {
		changes, endChanges := s.Wake()
		defer endChanges()
		beats, endBeats := s.WakeReplicas()
		defer endBeats()
		started := time.Now()
		create(t, stores[0], identity.OrgID(fmt.Sprint(i)))
		woken(t, changes, "a commit")
		if err := stores[0].Beat(t.Context(), identity.Replica{ID: "replica"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		woken(t, beats, "a beat")
		t.Logf("store %d: a commit, a beat and both wake-ups took %v", i, time.Since(started))
	}
}

func woken(t testing.TB, wake <-chan struct{}, by string) {
	t.Helper()
	select {
	case <-wake:
	case <-time.After(10 * time.Second):
		t.Fatalf("nobody was woken by %s", by)
	}
}

// hold runs the statement in a transaction that stays open until the function
// that it returns.
func hold(t testing.TB, url, statement string) (letGo func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	if _, err := conn.Exec(t.Context(), "BEGIN; "+statement); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Error(err)
		}
	}
}

func TestAStuckMutationHoldsUpNoLookUpAndNoDebit(t *testing.T) {
	url := server.URL(migrated(t))
	s := open(t, url+"&lock_timeout=300ms")
	create(t, s, "org")
	if _, err := s.TopUp(t.Context(), operator, "org", 5, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	letGo := hold(t, url, "SELECT pg_advisory_xact_lock(5787222183502197)")
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := s.SetOrganizationDisabled(t.Context(), operator, "org", true); err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("a mutation that cannot have its turn answered %v", err)
			}
		})
	}
	for i := range 5 {
		started := time.Now()
		if _, err := s.Organization(t.Context(), "org"); err != nil {
			t.Error(err)
		}
		if _, _, err := s.Reserve(t.Context(), store.Reservation{Org: "org", RequestID: fmt.Sprint(i), Cost: 1}); err != nil {
			t.Error(err)
		}
		if took := time.Since(started); took > time.Second {
			t.Errorf("a look-up and a debit took %v", took)
		}
	}
	group.Wait()
	letGo()
	if _, err := s.SetOrganizationDisabled(t.Context(), operator, "org", true); err != nil {
		t.Errorf("after it: %v", err)
	}
}

func TestADebitWhoseCallerIsGoneIsKnown(t *testing.T) {
	url := server.URL(migrated(t))
	s := open(t, url)
	create(t, s, "org")
	if _, err := s.TopUp(t.Context(), operator, "org", 5, "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	letGo := hold(t, url, "SELECT FROM credit_accounts FOR UPDATE")
	ctx, cancel := contextFor(t, 50*time.Millisecond)
	defer cancel()
	time.AfterFunc(300*time.Millisecond, letGo)
	balance, charged, err := s.Reserve(ctx, store.Reservation{Org: "org", RequestID: "request", Cost: 2})
	if err != nil || !charged || balance != 3 || ctx.Err() == nil {
		t.Errorf("got %d, %v, %v; want it charged, and said", balance, charged, err)
	}
	account, err := s.Account(t.Context(), "org")
	if err != nil || account.Balance != 3 {
		t.Errorf("the account is %+v, %v", account, err)
	}
}

func TestATransactionThatADeadlockEndedIsTriedAgain(t *testing.T) {
	s := open(t, server.URL(migrated(t))+"&deadlock_timeout=100ms&statement_timeout=20s&lock_timeout=20s")
	create(t, s, "a")
	create(t, s, "b")
	update := func(id string) string { return "UPDATE organizations SET plan = plan || 'x' WHERE id = '" + id + "'" }
	var group, met sync.WaitGroup
	met.Add(2)
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		var once sync.Once
		group.Go(func() {
			meet := func() { once.Do(func() { met.Done(); met.Wait() }) }
			if err := s.Transact(t.Context(), meet, update(order[0]), update(order[1])); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, id := range []identity.OrgID{"a", "b"} {
		if org, err := s.Organization(t.Context(), id); err != nil || org.Plan != "xx" {
			t.Errorf("organization %s has plan %q, %v; want both transactions once", id, org.Plan, err)
		}
	}
}
