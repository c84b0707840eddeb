package postgres_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store/postgres"
)

// sizeVariable sets how many keys the large table has, such as 1000000.
const sizeVariable = "POSTERN_TEST_KEYS"

// fill makes n keys, and a tenth of that of what else a request looks up.
func fill(n int) []string {
	keys, series := fmt.Sprintf("FROM generate_series(1, %d) n", n), fmt.Sprintf("FROM generate_series(1, %d) n", max(n/10, 1000))
	return []string{
		`INSERT INTO organizations SELECT 'org_' || n, 'slug-' || n, '', '', false, now(), n ` + series,
		`INSERT INTO users SELECT 'u_' || n, 'issuer', 'subject_' || n, '', '', false, NULL, now(), n ` + series,
		`INSERT INTO memberships SELECT 'org_' || n, 'u_' || n, '[]', now(), n ` + series,
		`INSERT INTO api_keys SELECT 'key_' || n, 'org_' || (1 + n % 1000), NULL, 'profile' || (n % 5), '', '', '', '', '',
			sha256(('api_' || n)::bytea), '["READ"]', NULL, NULL, false, NULL, now() + n * interval '1 ms', n ` + keys,
		`INSERT INTO tokens SELECT 'jti_' || n, 'profile', 'private', '', NULL, 'u_' || (1 + n % 1000), '[]', now() + n * interval '1 ms', now(), NULL, n ` + series,
		`INSERT INTO refused_tokens SELECT 'issuer', 'jti_' || n, now(), n ` + series,
		`INSERT INTO resources SELECT 'project', 'p_' || n, 'slug-' || n, 'org_' || (1 + n % 1000), now(), n ` + series,
		`INSERT INTO credit_accounts SELECT 'org_' || n, 1000, false ` + series,
		`INSERT INTO credit_ledger (org_id, kind, amount, balance_after, key_id, request_id, note, at)
			SELECT 'org_' || (1 + n % 1000), 'debit', -1, 0, '', 'r_' || n, '', now() + n * interval '1 ms' ` + series,
		`INSERT INTO changes (kind, org_id, user_id, key_id, token_issuer, token_id, resource_id, at)
			SELECT 'key', '', '', 'key_' || n, '', '', '', now() ` + series,
		`ANALYZE`,
	}
}

// large makes a database of that many keys and returns its name.
func large(t *testing.T, n int) string {
	t.Helper()
	name := fmt.Sprintf("large_%d", n)
	if err := server.CreateDatabase(t.Context(), name, template); err != nil {
		t.Fatal(err)
	}
	// Referring records are made in order: asking for each of them takes most of the time.
	err := server.Exec(t.Context(), name, append([]string{`SET session_replication_role = replica`}, fill(n)...)...)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// node is a step of a plan, as EXPLAIN tells it.
type node struct {
	Type  string `json:"Node Type"`
	Index string `json:"Index Name"`
	Table string `json:"Relation Name"`
	Plans []node
}

// walk visits the node and all below it.
func (n node) walk(visit func(node)) {
	visit(n)
	for _, below := range n.Plans {
		below.walk(visit)
	}
}

var parameter = regexp.MustCompile(`\$[0-9]+`)

// plan explains the query for any arguments, as a prepared statement is run.
func plan(t *testing.T, conn *pgx.Conn, query string) node {
	t.Helper()
	count := 0
	for _, name := range parameter.FindAllString(query, -1) {
		n, _ := strconv.Atoi(name[1:])
		count = max(count, n)
	}
	arguments := "(" + strings.TrimSuffix(strings.Repeat("NULL, ", count), ", ") + ")"
	if count == 0 {
		arguments = ""
	}
	var text []byte
	for _, statement := range []string{`SET plan_cache_mode = force_generic_plan`, `DEALLOCATE ALL`, `PREPARE asked AS ` + query} {
		if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := conn.QueryRow(t.Context(), `EXPLAIN (FORMAT JSON) EXECUTE asked`+arguments, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var explained []struct{ Plan node }
	if err := json.Unmarshal(text, &explained); err != nil || len(explained) != 1 {
		t.Fatalf("%s: %v: %s", query, err, text)
	}
	return explained[0].Plan
}

func TestAmongManyKeysEveryLookUpIsOneIndexScan(t *testing.T) {
	size := 200_000
	if text := os.Getenv(sizeVariable); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", sizeVariable, err)
		}
	}
	started := time.Now()
	name := large(t, size)
	t.Logf("%d keys made in %v", size, time.Since(started).Round(time.Millisecond))
	conn, err := pgx.Connect(t.Context(), server.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	for name, lookUp := range postgres.LookUps() {
		got := plan(t, conn, lookUp.Query)
		if got.Type != "Index Scan" || got.Index != lookUp.Index || len(got.Plans) > 0 {
			t.Errorf("%s: %+v, want one scan of index %s", name, got, lookUp.Index)
		}
	}
	for name, query := range postgres.Scans() {
		plan(t, conn, query).walk(func(n node) {
			if n.Type == "Seq Scan" {
				t.Errorf("%s: reads the whole table %s", name, n.Table)
			}
		})
	}

	few := lookUps(t, large(t, 1000), 1000)
	many := lookUps(t, name, size)
	const rounds, bound = 3, 1.5
	for round := 1; ; round++ {
		short, long := compare(few, many)
		t.Logf("a look-up by digest takes %v among 1000 keys and %v among %d", short, long, size)
		if float64(long) <= bound*float64(short) {
			return
		}
		if round == rounds {
			t.Fatalf("a look-up among %d keys takes over %v times as long as among 1000", size, bound)
		}
	}
}

// compare is the median of each. They take turns, so that what else the machine
// does slows both.
func compare(few, many func() time.Duration) (short, long time.Duration) {
	var times [2][]time.Duration
	for range 2000 {
		times[0] = append(times[0], few())
		times[1] = append(times[1], many())
	}
	return median(times[0]), median(times[1])
}

// lookUps returns a function that looks up another key by its digest each time,
// and says how long that took.
func lookUps(t *testing.T, database string, keys int) func() time.Duration {
	t.Helper()
	s := open(t, server.URL(database))
	next := 0
	return func() time.Duration {
		next = (next + 7919) % keys
		started := time.Now()
		key, err := s.KeyByDigest(t.Context(), identity.DigestOf(fmt.Sprintf("api_%d", next+1)))
		took := time.Since(started)
		if err != nil || key.ID != identity.KeyID(fmt.Sprintf("key_%d", next+1)) {
			t.Fatalf("found %q, %v", key.ID, err)
		}
		return took
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2].Round(time.Microsecond)
}
