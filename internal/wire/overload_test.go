package wire

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"postern/authz/identity"
	"postern/internal/config"
	"postern/store"
	"postern/store/sqlite"
)

// slowStore is a real store that takes its time over keys and organizations.
type slowStore struct {
	store.Store
	takes atomic.Int64 // nanoseconds
}

func (s *slowStore) wait(ctx context.Context) error {
	timer := time.NewTimer(time.Duration(s.takes.Load()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slowStore) KeyByDigest(ctx context.Context, d identity.Digest) (store.Key, error) {
	if err := s.wait(ctx); err != nil {
		return store.Key{}, err
	}
	return s.Store.KeyByDigest(ctx, d)
}

func (s *slowStore) Organization(ctx context.Context, id identity.OrgID) (store.Organization, error) {
	if err := s.wait(ctx); err != nil {
		return store.Organization{}, err
	}
	return s.Store.Organization(ctx, id)
}

// loadsLinger is how long a load may outlive the callers that left it.
const loadsLinger = 2 * time.Second

const strictAndPatient = `
profile: strict
credentials: [ { bearer: api_key } ]
api_keys: { prefix: st_, checksum: true }
---
profile: patient
on_store_unavailable: { serve_stale_for: 5m }
credentials: [ { bearer: api_key } ]
api_keys: { prefix: pa_, checksum: true }
`

// drill is a whole server over a slow store, and who asks it.
type drill struct {
	store  *slowStore
	server *Server
	check  authv3.AuthorizationClient
}

func startDrill(t *testing.T, ttl time.Duration) *drill {
	t.Helper()
	t.Cleanup(func() {
		time.Sleep(loadsLinger)
		goleak.VerifyNone(t)
	})
	folder := t.TempDir()
	c := config.Default()
	c.Store.URL, c.Check.Listen, c.Admin.Listen = "sqlite://"+folder+"/postern.db", "127.0.0.1:0", "127.0.0.1:0"
	c.Admin.Key = identity.NewSecret("an-admin-key-for-these-tests")
	c.Cache.TTL, c.Cache.NegativeTTL = ttl, ttl
	c.Profiles.Presets, c.Profiles.Files = false, []string{filepath.Join(folder, "profiles.yaml")}
	if err := os.WriteFile(c.Profiles.Files[0], []byte(strictAndPatient), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Migrate(t.Context(), folder+"/postern.db"); err != nil {
		t.Fatal(err)
	}
	d := &drill{store: &slowStore{}}
	var err error
	d.server, err = build(t.Context(), c, os.LookupEnv, slog.New(slog.DiscardHandler), func(ctx context.Context, url string) (store.Store, error) {
		d.store.Store, err = openStore(ctx, url)
		return d.store, err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///"+d.server.CheckAddress(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d.check = authv3.NewAuthorizationClient(conn)
	if _, err := d.store.CreateOrganization(t.Context(), "test", store.Organization{Organization: identity.Organization{ID: "acme", Slug: "acme"}}); err != nil {
		t.Fatal(err)
	}
	return d
}

// raw mints a key of the profile, and keeps its record where it is a good one.
func (d *drill) raw(t *testing.T, name identity.ProfileName, good bool) string {
	minted, err := d.server.engine.Snapshot().Profiles.ByName(name).Keys.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if good {
		key := store.Key{Key: identity.Key{ID: minted.ID, Org: "acme", Profile: name, Environment: "production", Digest: minted.Digest}, Hash: minted.Hash}
		if _, err := d.store.CreateKey(t.Context(), "test", key, store.KeyLimit{}); err != nil {
			t.Fatal(err)
		}
	}
	return minted.Raw.Reveal()
}

// answers are what was answered, how often, and how long each took.
type answers struct {
	mu     sync.Mutex
	status map[int]int
	took   []time.Duration
	odd    []string
}

// ask sends one Check, with the deadline that the reference configuration gives.
func (d *drill) ask(t *testing.T, name, raw string, into *answers) int {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	response, err := d.check.Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		ContextExtensions: map[string]string{"profile": name},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: rand.Text(), Method: "GET", Path: "/x", Host: "127.0.0.1",
			HeaderMap: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: "authorization", RawValue: []byte("Bearer " + raw)}}},
		}},
	}})
	took, status := time.Since(began), 200
	into.mu.Lock()
	defer into.mu.Unlock()
	if into.status == nil {
		into.status = map[int]int{}
	}
	into.took = append(into.took, took)
	if err != nil {
		into.status[0]++
		into.odd = append(into.odd, err.Error())
		return 0
	}
	if denied := response.GetDeniedResponse(); denied != nil {
		status = int(denied.GetStatus().GetCode())
		retry := slices.ContainsFunc(denied.GetHeaders(), func(h *corev3.HeaderValueOption) bool {
			return strings.EqualFold(h.GetHeader().GetKey(), "retry-after") && (h.GetHeader().GetValue() == "1" || string(h.GetHeader().GetRawValue()) == "1")
		})
		if status == 503 && !retry {
			into.odd = append(into.odd, "a 503 without Retry-After: 1")
		}
	}
	into.status[status]++
	return status
}

// every calls at the rate for the while, and waits for all answers.
func every(rate int, length time.Duration, call func()) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for end := time.Now().Add(length); time.Now().Before(end); <-tick.C {
		calls.Go(call)
	}
}

func (a *answers) percentile(p int) time.Duration {
	slices.Sort(a.took)
	return a.took[(len(a.took)-1)*p/100]
}

func (a *answers) log(t *testing.T, name string) {
	t.Logf("%-18s %v   p50 %v   p99 %v   max %v", name, a.status, a.percentile(50), a.percentile(99), a.percentile(100))
	if len(a.odd) > 0 {
		t.Errorf("%s: %d odd answers, such as %s", name, len(a.odd), a.odd[0])
	}
}

func (d *drill) metric(t *testing.T, name string) string {
	t.Helper()
	response, err := http.Get("http://" + d.server.AdminAddress() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("there is no %s", name)
	return ""
}

func TestAFloodOfUnknownKeysOverASlowStoreIsShedAndCachedKeysDoNotFeelIt(t *testing.T) {
	d := startDrill(t, 10*time.Second)
	good := d.raw(t, "strict", true)
	var warm, quiet, cached, unknown answers
	time.Sleep(100 * time.Millisecond) // the news of the key's creation is through
	for d.ask(t, "strict", good, &warm) != 200 {
		time.Sleep(10 * time.Millisecond)
	}
	every(100, time.Second, func() { d.ask(t, "strict", good, &quiet) })
	d.store.takes.Store(int64(time.Second))
	var both sync.WaitGroup
	both.Go(func() {
		every(500, 5*time.Second, func() { d.ask(t, "strict", d.raw(t, "strict", false), &unknown) })
	})
	both.Go(func() { every(100, 5*time.Second, func() { d.ask(t, "strict", good, &cached) }) })
	both.Wait()
	quiet.log(t, "cached, quiet")
	cached.log(t, "cached, in flood")
	unknown.log(t, "unknown")
	if cached.status[200] != len(cached.took) || cached.percentile(50) > quiet.percentile(50)+20*time.Millisecond {
		t.Error("the flood is felt")
	}
	if unknown.status[503] != len(unknown.took) || unknown.percentile(95) > 300*time.Millisecond {
		t.Error("an unknown key is not told to come back in time")
	}
	if shed := d.metric(t, `postern_store_lookups_shed_total{class="unseen"}`); shed == "0" {
		t.Error("nothing was shed")
	}
	if limit := d.metric(t, "postern_store_lookups_limit"); limit != "8" {
		t.Errorf("the limit under a slow store: %s", limit)
	}

	d.store.takes.Store(0)
	time.Sleep(1100 * time.Millisecond) // Retry-After, and what was under way
	var after answers
	every(200, 2*time.Second, func() { d.ask(t, "strict", d.raw(t, "strict", false), &after) })
	after.log(t, "unknown, after")
	if after.status[401] < len(after.took)*9/10 {
		t.Error("the store is fast again, and unknown keys are not asked for")
	}
	if limit := d.metric(t, "postern_store_lookups_limit"); limit != "16" {
		t.Errorf("the limit once the store is fast again: %s", limit)
	}
}

func TestKnownKeysAreReloadedInAFloodAsLongAsTheStoreManages(t *testing.T) {
	d := startDrill(t, time.Second)
	strict, patient := d.raw(t, "strict", true), d.raw(t, "patient", true)
	var warm, known, old, unknown answers
	time.Sleep(100 * time.Millisecond)
	for d.ask(t, "strict", strict, &warm) != 200 || d.ask(t, "patient", patient, &warm) != 200 {
		time.Sleep(10 * time.Millisecond)
	}
	flood := func(length time.Duration, meanwhile func()) {
		var both sync.WaitGroup
		both.Go(func() {
			every(500, length, func() { d.ask(t, "strict", d.raw(t, "strict", false), &unknown) })
		})
		both.Go(func() { every(20, length, meanwhile) })
		both.Wait()
	}
	d.store.takes.Store(int64(100 * time.Millisecond)) // key and organization: 200 of 475 ms
	flood(4*time.Second, func() { d.ask(t, "strict", strict, &known) })
	known.log(t, "known, 100 ms")
	if known.status[200] < len(known.took)*95/100 {
		t.Error("a known key is refused though the store manages")
	}
	d.store.takes.Store(int64(time.Second)) // longer than anybody can wait
	d.ask(t, "patient", patient, &warm)
	flood(3*time.Second, func() { d.ask(t, "patient", patient, &old) })
	old.log(t, "patient, 1 s")
	unknown.log(t, "unknown")
	if old.status[200] < len(old.took)*95/100 {
		t.Error("a profile that may decide by older records does not")
	}
	if unknown.status[401] > 0 && unknown.status[503] == 0 || unknown.status[200] > 0 {
		t.Errorf("unknown keys: %v", unknown.status)
	}
}
