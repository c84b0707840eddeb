package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"postern/authz/identity"
	"postern/store"
	"postern/store/postgres"
)

func TestPruningGoesInStepsAndLeavesNothingThatIsOld(t *testing.T) {
	name := migrated(t)
	s := open(t, server.URL(name))
	create(t, s, "org")
	const old = 2*postgres.PruneStep + 10
	if err := server.Exec(t.Context(), name,
		fmt.Sprintf(`INSERT INTO changes (kind, org_id, user_id, key_id, token_issuer, token_id, resource_id, at)
			SELECT 'user', '', 'u', '', '', '', '', '2020-01-01' FROM generate_series(1, %d)`, old),
		fmt.Sprintf(`INSERT INTO credit_ledger (org_id, kind, amount, balance_after, key_id, request_id, note, at)
			SELECT 'org', 'debit', -1, 0, '', n, '', '2020-01-01' FROM generate_series(1, %d) n`, old),
		`UPDATE changes SET at = '2020-01-01'`); err != nil {
		t.Fatal(err)
	}
	create(t, s, "fresh")
	latest, err := s.LatestRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, want := range []bool{true, true, false, false} {
		if more, err := s.Prune(t.Context(), store.Pruning{Changes: before, RequestIDs: before}); err != nil || more != want {
			t.Errorf("step %d: more %v, %v; want %v", i, more, err, want)
		}
	}
	changes, err := s.ChangesAfter(t.Context(), latest-1, 10)
	if err != nil || len(changes) != 1 || changes[0].Org != "fresh" {
		t.Errorf("left in the feed: %+v, %v", changes, err)
	}
	if _, err := s.ChangesAfter(t.Context(), latest-2, 10); !errors.Is(err, store.ErrPruned) {
		t.Errorf("the feed before it: %v, want ErrPruned", err)
	}
}

func TestAClosedStoreLeavesNothingRunning(t *testing.T) {
	name := migrated(t)
	before := goleak.IgnoreCurrent()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: identity.NewSecret(server.URL(name))})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, "org")
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	goleak.VerifyNone(t, before)
}
