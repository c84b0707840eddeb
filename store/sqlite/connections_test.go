package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/feed"
)

func openEmpty(t testing.TB) *Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "postern.db")
	if _, err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestTheWriterIsDurableAndKeepsReferences(t *testing.T) {
	s := openEmpty(t)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "0",
	} {
		var got string
		if err := s.writes.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	if open := s.writes.Stats().MaxOpenConnections; open != 1 {
		t.Errorf("%d connections write, want 1", open)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := openEmpty(t)
	for range 2 * s.reads.Stats().MaxOpenConnections {
		if _, err := s.reads.ExecContext(t.Context(), `DELETE FROM organizations`); err == nil {
			t.Fatal("a reader deleted records")
		}
	}
}

func TestWhoeverFindsNoConnectionWaitsNoLongerThanItsContext(t *testing.T) {
	s := openEmpty(t)
	reads := map[string]func(context.Context) error{
		"ping":     s.Ping,
		"key":      func(ctx context.Context) error { _, err := s.Key(ctx, "key_1"); return err },
		"revision": func(ctx context.Context) error { _, err := s.LatestRevision(ctx); return err },
		"secret": func(ctx context.Context) error {
			_, err := s.SharedSecret(ctx, "name", identity.NewSecret("0123456789abcdef0123456789abcdef"))
			return err
		},
	}
	for _, pool := range []*prepared{s.reads, s.writes} {
		for range pool.Stats().MaxOpenConnections {
			taken, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = taken.Close() }()
		}
	}
	for name, read := range reads {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		ended := make(chan error, 1)
		go func() { ended <- read(ctx) }()
		select {
		case err := <-ended:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, want that the deadline has passed", name, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s still waits long after its deadline", name)
		}
		cancel()
	}
}

func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	s := openEmpty(t)
	tx, err := s.writes.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), `INSERT INTO credit_accounts (org_id, balance, pay_as_you_go)
		SELECT id, 0, FALSE FROM organizations`); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEveryLookUpUsesAnIndex(t *testing.T) {
	s := openEmpty(t)
	for name, query := range map[string]string{
		"organization by id":    `SELECT * FROM organizations WHERE id = ?`,
		"organization by slug":  `SELECT * FROM organizations WHERE slug = ?`,
		"user by id":            `SELECT * FROM users WHERE id = ?`,
		"user by subject":       `SELECT * FROM users WHERE issuer = ? AND subject = ?`,
		"membership":            selectMembership,
		"memberships of a user": `SELECT * FROM memberships WHERE user_id = ? ORDER BY created_at, org_id`,
		"key by id":             selectKey,
		"key by digest":         `SELECT * FROM api_keys WHERE digest = ?`,
		"active keys":           `SELECT count(*) FROM api_keys WHERE profile = ? AND ` + activeKey,
		"keys after a cursor":   `SELECT * FROM api_keys WHERE org_id = ? AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?`,
		"token by id":           selectToken,
		"tokens of a user":      `SELECT * FROM tokens WHERE user_id = ? AND revoked_at IS NULL ORDER BY issued_at, id`,
		"refusal":               selectRefusal,
		"resource by id":        selectResourceByID,
		"debit":                 debitAccount,
		"request in force":      `SELECT * ` + inForce,
		"account":               selectAccount,
		"ledger":                `SELECT * FROM credit_ledger WHERE org_id = ? AND (id) > (?) ORDER BY id LIMIT ?`,
		"audit of a subject":    `SELECT * FROM audit_events WHERE subject = ? ORDER BY revision LIMIT ?`,
		"changes":               selectChanges,
		"requests to forget":    `SELECT id ` + oldDebits + ` ORDER BY at LIMIT ?2`,
		"use of a key":          `SELECT * FROM key_usage WHERE key_id = ?`,
	} {
		for _, step := range plan(t, s, query) {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s: %s", name, step)
			}
		}
	}
	// Its outer query sorts the two rows that it found.
	for _, step := range plan(t, s, selectResourceBySlug) {
		if strings.HasPrefix(step, "SCAN resources") {
			t.Errorf("resource by slug: %s", step)
		}
	}
}

func plan(t testing.TB, s *Store, query string) []string {
	t.Helper()
	query = regexp.MustCompile(`\?[0-9]*`).ReplaceAllString(query, "1")
	rows, err := s.writes.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil || len(steps) == 0 {
		t.Fatalf("%s: %d steps, %v", query, len(steps), err)
	}
	return steps
}

func TestPruningGoesInStepsAndLeavesNothingThatIsOld(t *testing.T) {
	s := openEmpty(t)
	const old = 2*feed.PruneStep + 10
	const numbers = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) `
	for _, statement := range []string{
		`INSERT INTO changes (kind, org_id, user_id, key_id, token_issuer, token_id, resource_id, at)
			SELECT 'user', '', 'u', '', '', '', '', iif(n < 4010, 1, 9) FROM numbers`,
		`INSERT INTO organizations (id, slug, name, plan, disabled, created_at, revision)
			SELECT 'org', 'org', '', '', FALSE, 1, 1 FROM numbers WHERE n = 1`,
		`INSERT INTO credit_accounts (org_id, balance, pay_as_you_go) SELECT 'org', 0, FALSE FROM numbers WHERE n = 1`,
		`INSERT INTO credit_ledger (org_id, kind, amount, balance_after, key_id, request_id, note, at)
			SELECT 'org', 'debit', -1, 0, '', n, '', 1 FROM numbers`,
	} {
		if _, err := s.writes.ExecContext(t.Context(), numbers+statement, old); err != nil {
			t.Fatal(err)
		}
	}
	before := time.UnixMicro(5)
	for i, want := range []bool{true, true, false, false} {
		if more, err := s.Prune(t.Context(), store.Pruning{Changes: before, RequestIDs: before}); err != nil || more != want {
			t.Errorf("step %d: more %v, %v; want %v", i, more, err, want)
		}
	}
	if left, err := s.ChangesAfter(t.Context(), old-1, 10); err != nil || len(left) != 1 {
		t.Errorf("left in the feed: %+v, %v", left, err)
	}
	if _, err := s.ChangesAfter(t.Context(), old-2, 10); !errors.Is(err, store.ErrPruned) {
		t.Errorf("the feed before it: %v, want ErrPruned", err)
	}
}
