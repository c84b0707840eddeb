package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/internal/testenv"
	"postern/store"
	"postern/store/postgres"
)

func contextFor(t testing.TB, bound time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), bound)
}

// ownServer starts a PostgreSQL that a test may break, with a migrated database "db".
func ownServer(t *testing.T) *testenv.Postgres {
	t.Helper()
	p, err := testenv.StartPostgres(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	if err := p.CreateDatabase(t.Context(), "db", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(t.Context(), identity.NewSecret(p.URL("db"))); err != nil {
		t.Fatal(err)
	}
	return p
}

// busy opens many connections by asking much at once.
func busy(t testing.TB, s *postgres.Store) {
	t.Helper()
	for _, err := range ask(t, s, 32) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func ask(t testing.TB, s *postgres.Store, times int) []error {
	errs := make([]error, times)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { _, errs[i] = s.Organization(t.Context(), "org") })
	}
	group.Wait()
	return errs
}

// eventually repeats what fails until it succeeds.
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	started := time.Now()
	for {
		err := try()
		if err == nil {
			t.Logf("%s after %v", what, time.Since(started).Round(time.Millisecond))
			return
		}
		if time.Since(started) > 15*time.Second {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// unanswered waits until the store says that it cannot be asked. What serves a
// connection outlives its server by a moment.
func unanswered(t testing.TB, s *postgres.Store) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; {
		_, err := s.Organization(t.Context(), "org")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("a store without its database answered %v", err)
		}
	}
}

func TestAfterARestartOfTheDatabaseNothingFailsAndWakeUpsComeBack(t *testing.T) {
	p := ownServer(t)
	s := open(t, p.URL("db"))
	create(t, s, "org")
	wake, end := s.Wake()
	defer end()
	for round := range 2 {
		busy(t, s)
		if round == 0 {
			if err := p.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			p.Kill()
			unanswered(t, s)
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		create(t, s, identity.OrgID(fmt.Sprint(round)))
		for _, err := range ask(t, s, 32) {
			if err != nil {
				t.Errorf("right after a restart: %v", err)
			}
		}
		woken(t, wake, "the restart, or the commit after it")
		eventually(t, "woken by a commit again", func() error {
			for len(wake) > 0 {
				<-wake
			}
			if _, err := s.TopUp(t.Context(), operator, "org", 1, "", time.Time{}); err != nil {
				return err
			}
			select {
			case <-wake:
				return nil
			case <-time.After(200 * time.Millisecond):
				return errors.New("not woken")
			}
		})
	}
}

func TestAfterAFailoverTheStoreFindsTheNewServer(t *testing.T) {
	first := ownServer(t)
	standby, err := first.StartStandby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = standby.Stop() })
	if _, err := postgres.Open(t.Context(), postgres.Options{URL: identity.NewSecret(standby.URL("db"))}); err == nil {
		t.Error("a standby was opened: it may lag behind what was acknowledged")
	}
	s := open(t, standby.URL("db", first))
	var last store.Organization
	create(t, s, "org")
	for i := range 20 {
		last = create(t, s, identity.OrgID(fmt.Sprint(i)))
	}
	busy(t, s)
	first.Kill()
	unanswered(t, s)
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "written to the new server", func() error {
		_, err := s.SetOrganizationDisabled(t.Context(), operator, "0", true)
		return err
	})
	found, err := s.Organization(t.Context(), "19")
	if err != nil || found != last {
		t.Errorf("found %+v, %v; want %+v", found, err, last)
	}
	latest, err := s.LatestRevision(t.Context())
	if err != nil || latest <= last.Revision {
		t.Errorf("revision %d does not follow %d, %v", latest, last.Revision, err)
	}
}

func TestAServerThatBecomesReadOnlyIsLeft(t *testing.T) {
	p := ownServer(t)
	s := open(t, p.URL("db"))
	create(t, s, "org")
	busy(t, s)
	if err := p.Exec(t.Context(), "postgres", `ALTER DATABASE db SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SetOrganizationDisabled(t.Context(), operator, "org", true); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a server that takes no writes answered %v", err)
	}
	if err := p.Exec(t.Context(), "postgres", `ALTER DATABASE db RESET default_transaction_read_only`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "written again", func() error {
		_, err := s.SetOrganizationDisabled(t.Context(), operator, "org", true)
		return err
	})
}

func TestAQuietConnectionGoesOnListening(t *testing.T) {
	name := migrated(t)
	wake := postgres.Listen(t, server.URL(name), 20*time.Millisecond)
	time.Sleep(200 * time.Millisecond) // it was asked some times, and was there
	s := open(t, server.URL(name))
	create(t, s, "org")
	woken(t, wake, "a commit after a quiet time")
}

func TestEveryConnectionHasBounds(t *testing.T) {
	name := migrated(t)
	for url, want := range map[string]map[string]string{
		server.URL(name): {
			"statement_timeout": "2s", "lock_timeout": "1500ms", "idle_in_transaction_session_timeout": "5s",
			"default_transaction_isolation": "read committed", "TimeZone": "UTC", "application_name": "postern",
		},
		server.URL(name) + "&statement_timeout=700&application_name=other": {
			"statement_timeout": "700ms", "lock_timeout": "1500ms", "application_name": "other",
		},
	} {
		s := open(t, url)
		for setting, value := range want {
			if got, err := s.Setting(t.Context(), setting); err != nil || got != value {
				t.Errorf("%s is %q, %v; want %q", setting, got, err, value)
			}
		}
	}
}

func TestTheClockDatesRecordsAndTheDatabaseDatesReplicas(t *testing.T) {
	now := time.Date(2031, time.May, 6, 7, 8, 9, 123_456_000, time.UTC)
	s, err := postgres.Open(t.Context(), postgres.Options{
		URL:   identity.NewSecret(server.URL(migrated(t))),
		Clock: func() time.Time { return now.In(time.FixedZone("", 3600)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	org := create(t, s, "org")
	changes, err := s.ChangesAfter(t.Context(), 0, 10)
	if err != nil || len(changes) != 1 || changes[0].At != now || org.CreatedAt != now {
		t.Errorf("the record is of %v, its change %+v, %v; want %v", org.CreatedAt, changes, err, now)
	}
	if err := s.Beat(t.Context(), identity.Replica{ID: "replica"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	replicas, present, err := s.ListReplicas(t.Context())
	if err != nil || len(replicas) != 1 || time.Since(present).Abs() > time.Minute || time.Since(replicas[0].SeenAt).Abs() > time.Minute {
		t.Errorf("replicas are %+v at %v, %v", replicas, present, err)
	}
}
