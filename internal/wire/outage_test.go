package wire_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/internal/config"
	"postern/internal/testenv"
	"postern/internal/wire"
	adminv1 "postern/proto/postern/admin/v1"
	"postern/store/sqlite"
)

const patience = `
profile: patient
on_store_unavailable: { serve_stale_for: 5m }
credentials: [ { bearer: api_key } ]
api_keys: { prefix: pa_, checksum: true }
---
profile: strict
credentials: [ { bearer: api_key } ]
api_keys: { prefix: st_, checksum: true }
`

// overPostgres puts the store behind a proxy that can be cut.
func overPostgres(t *testing.T, c *config.Config) *testenv.Proxy {
	t.Helper()
	server := must[*testenv.Postgres](t)(testenv.StartPostgres(t.Context(), ""))
	t.Cleanup(func() { _ = server.Stop() })
	if err := server.CreateDatabase(t.Context(), "outage", ""); err != nil {
		t.Fatal(err)
	}
	proxy := must[*testenv.Proxy](t)(testenv.NewProxy(server.Address()))
	t.Cleanup(proxy.Close)
	c.Store.URL = strings.Replace(server.URL("outage"), server.Address(), proxy.Addr, 1)
	must[[]string](t)(wire.Migrate(t.Context(), c.Store.URL))
	profiles := filepath.Join(t.TempDir(), "patience.yaml")
	if err := os.WriteFile(profiles, []byte(patience), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Profiles.Presets, c.Profiles.Files = false, []string{profiles}
	return proxy
}

// caughtUp waits until the replica has applied every change.
func (s *system) caughtUp(t *testing.T) {
	t.Helper()
	replicas := adminv1.NewReplicaServiceClient(s.conn)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		list := must[*adminv1.ListReplicasResponse](t)(replicas.ListReplicas(s.ctx, &adminv1.ListReplicasRequest{}))
		if r := list.GetReplicas(); len(r) == 1 && r[0].GetLag() == 0 {
			return
		}
	}
	t.Fatal("the replica does not catch up")
}

func TestWhenTheStoreIsAwayTheProfileDecidesAndNothingIsInvalid(t *testing.T) {
	var proxy *testenv.Proxy
	s := start(t, func(c *config.Config) { proxy = overPostgres(t, c) })
	s.org(t, "acme")
	patient, strict := s.key(t, "patient", "acme").Secret, s.key(t, "strict", "acme").Secret
	unseen := s.key(t, "patient", "acme").Secret
	use := func(profile, secret string) (int, string) {
		return s.answer(t, request(profile, "GET", "/x", "authorization", "Bearer "+secret))
	}
	expect := func(what, profile, secret string, status int) {
		t.Helper()
		if got, why := use(profile, secret); got != status {
			t.Errorf("%s: %d %s, want %d", what, got, why, status)
		}
	}
	s.caughtUp(t) // or the news of a key's creation forgets it again
	expect("at first, the patient", "patient", patient, 200)
	expect("at first, the strict", "strict", strict, 200)

	proxy.Cut()
	expect("within the lease, the strict", "strict", strict, 200)
	deadline := time.Now().Add(20 * time.Second)
	for status := 200; status == 200 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		status, _ = use("strict", strict)
	}
	expect("after the lease, the strict", "strict", strict, 503)
	expect("after the lease, the patient", "patient", patient, 200)
	expect("a key nobody has seen yet", "patient", unseen, 503)
	for path, want := range map[string]string{
		"/healthz/ready": "503 the store cannot be read",
		"/healthz/live":  "200 alive",
		"/metrics":       `200 postern_stale_decisions_total{profile="patient"} `,
	} {
		response := must[*http.Response](t)(http.Get("http://" + s.server.AdminAddress() + path))
		body := must[[]byte](t)(io.ReadAll(response.Body))
		_ = response.Body.Close()
		status, text, _ := strings.Cut(want, " ")
		if !strings.HasPrefix(response.Status, status) || !strings.Contains(string(body), text) {
			t.Errorf("%s: %s without %q", path, response.Status, text)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()

	if err := proxy.Heal(); err != nil {
		t.Fatal(err)
	}
	for status := 503; status != 200 && time.Now().Before(deadline.Add(20*time.Second)); time.Sleep(100 * time.Millisecond) {
		status, _ = use("strict", strict)
	}
	expect("once it is back, the strict", "strict", strict, 200)
	expect("once it is back, the key nobody had seen", "patient", unseen, 200)
}

func TestTheUseOfAKeyIsCountedAndSurvivesAStop(t *testing.T) {
	s := start(t, nil)
	s.org(t, "acme")
	key := s.key(t, "authenta", "acme", "READ")
	for range 7 {
		s.expect(t, "a use", jobs(key.Secret), 200, "allowed")
	}
	must[*adminv1.RevokeKeyResponse](t)(s.keys().RevokeKey(s.ctx, &adminv1.RevokeKeyRequest{Id: key.Key.Id}))
	s.expect(t, "a refusal is no use", jobs(key.Secret), 401, "revoked")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	store := must[*sqlite.Store](t)(sqlite.Open(context.Background(), sqlite.Options{Path: s.path}))
	defer func() { _ = store.Close() }()
	usage, err := store.Usage(context.Background(), identity.KeyID(key.Key.Id))
	if err != nil || usage.Count != 7 || time.Since(usage.LastAt) > time.Minute {
		t.Errorf("%+v, %v", usage, err)
	}
}
