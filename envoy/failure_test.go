package envoy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const away = "Authentication is temporarily unavailable"

// unavailable are the answers of the hardened Envoy while Postern is away.
var unavailable = []struct{ api, line, host, body string }{
	{"generic", "GET /api/v1/jobs", "api.artosai.com", `{"error":"` + away + `"}`},
	{"artos", "GET /api/v1/templates/", "127.0.0.1", `{"detail":"` + away + `"}`},
	{"artos", "GET /api/v1/search/status", "127.0.0.1", `{"detail":"` + away + `"}`},
	{"datasets", "GET /api/v1/companies/company_acme/datasets/", "127.0.0.1", `{"type":"server_error","errors":[{"code":"unavailable","detail":"` + away + `","attr":null,"extra":null}]}`},
	{"artanis", "GET /api/prompts", "127.0.0.1", `{"error":"` + away + `"}`},
	{"arthur-platform", "GET /api/v1/models", "127.0.0.1", `{"detail":"` + away + `"}`},
	{"arthur-platform", "POST /realms/arthur/protocol/openid-connect/token", "127.0.0.1", `{"error":"temporarily_unavailable","error_description":"` + away + `"}`},
	{"arthur-platform", "POST /realms/arthur/protocol/openid-connect/auth/device", "127.0.0.1", `{"error":"temporarily_unavailable","error_description":"` + away + `"}`},
	{"arthur-engine", "GET /api/v2/tasks", "127.0.0.1", `{"detail":"` + away + `"}`},
	{"authenta", "GET /api/v1/jobs", "127.0.0.1", `{"code":"UNAVAILABLE","statusCode":503,"message":"` + away + `"}`},
}

func (s *small) isAway(t *testing.T) {
	t.Helper()
	for _, c := range unavailable {
		r := s.gates[0].once(t, c.api, c.line, "Host: "+c.host, "Authorization: Bearer x")
		r.body = strings.TrimSuffix(r.body, "\n") // Envoy's own
		r.denied(t, 503, c.body)
		if r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After is %q", c.line, r.header.Get("Retry-After"))
		}
		s.gates[1].once(t, c.api, c.line, "Host: "+c.host, "Authorization: Bearer x").refused(t)
	}
	if r := s.gates[0].once(t, "authenta", "HEAD /api/v1/jobs"); r.status != 503 || r.body != "" || r.after != "" {
		t.Errorf("HEAD: %s", r)
	}
	if r := s.gates[0].once(t, "authenta", "GET /api/v1/jobs;x"); r.status != 503 {
		t.Errorf("a malformed path: %s", r)
	}
	got := status.Convert(call(t, s.gates[0].address("authenta"), "/jobs.v1.Jobs/Create"))
	if got.Code() != codes.Unavailable || got.Message() != away {
		t.Errorf("a gRPC client got %s %q", got.Code(), got.Message())
	}
}

func (s *small) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.postern.PID(), sig); err != nil {
		t.Fatal(err)
	}
}

// until repeats a request while Envoy finds its way back to Postern.
func (g gate) until(t *testing.T, status int, api, line string, headers ...string) {
	t.Helper()
	var r reply
	for began := time.Now(); time.Since(began) < 15*time.Second; time.Sleep(50 * time.Millisecond) {
		if r = g.once(t, api, line, headers...); r.status == status {
			return
		}
	}
	t.Fatalf("%s: it stays at %s, want %d", line, r, status)
}

// pause stops Postern, and returns once every thread of it stands: the signal alone
// only begins that.
func (s *small) pause(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if stands(t, s.postern.PID()) {
			return
		}
	}
	t.Fatal("Postern does not stand still")
}

// stands reports whether all threads of a process are stopped (proc(5), state T).
func stands(t *testing.T, pid int) bool {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("the threads of %d cannot be listed: %v", pid, err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		if err != nil {
			return false // it ended while it was looked at
		}
		_, after, _ := strings.Cut(string(stat), ") ")
		if !strings.HasPrefix(after, "T") {
			return false
		}
	}
	return true
}

func TestPosternThatStopsOrHangsIsA503AndNeverAnAllow(t *testing.T) {
	s := startSmall(t, nil, "artos", "authenta")
	ctx := t.Context()
	if err := s.tenant(ctx, "org_media", 10); err != nil {
		t.Fatal(err)
	}
	_, key, err := s.key(ctx, "authenta", "org_media", "READ", "WRITE")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range s.gates {
		g.until(t, 200, "authenta", "GET /api/v1/jobs", bearer(key)...)
	}

	// It is slow: the hardened Envoy waits half a second, as it comes a fifth.
	s.pause(t)
	t.Cleanup(func() { _ = syscall.Kill(s.postern.PID(), syscall.SIGCONT) })
	woken := make(chan struct{})
	time.AfterFunc(250*time.Millisecond, func() {
		defer close(woken)
		_ = syscall.Kill(s.postern.PID(), syscall.SIGCONT)
	})
	if r := s.gates[0].once(t, "authenta", "GET /api/v1/jobs", bearer(key)...); r.status != 200 {
		t.Errorf("an answer after a quarter of a second is not waited for: %s", r)
	}
	<-woken

	// It hangs.
	s.pause(t)
	for _, g := range s.gates {
		began := time.Now()
		r := g.once(t, "authenta", "GET /api/v1/jobs", bearer(key)...)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %s", g.name, took)
		}
		if _, ok := r.reached(); ok || g.hardened && r.status != 503 {
			t.Errorf("%s: while Postern hangs: %s", g.name, r)
		}
		g.once(t, "authenta", "POST /api/v1/jobs", bearer(key)...)
	}
	s.signal(t, syscall.SIGCONT)
	for _, g := range s.gates {
		g.until(t, 200, "authenta", "GET /api/v1/jobs", bearer(key)...)
	}
	// A Check that Envoy gave up while Postern stood still may be read before the news
	// of that, and is then charged, once; nothing else is.
	awake, _, _ := s.ledger(ctx, t, "org_media")
	if awake < 10-int64(len(s.gates)) {
		t.Errorf("after %d jobs that Envoy gave up the balance is %d of 10", len(s.gates), awake)
	}

	// It stops as it is asked to, and nobody is let through meanwhile.
	if code := s.postern.Stop(stopBound); code != 0 {
		t.Errorf("Postern ended with %d", code)
	}
	s.isAway(t)
	s.start(t)
	for _, g := range s.gates {
		g.until(t, 200, "authenta", "GET /api/v1/jobs", bearer(key)...)
		g.until(t, 401, "authenta", "GET /api/v1/jobs")
	}

	// It crashes.
	s.postern.Kill()
	s.isAway(t)
	s.start(t)
	for _, g := range s.gates {
		g.until(t, 200, "authenta", "GET /api/v1/jobs", bearer(key)...)
	}
	// More is right: what was charged is given back once it is known to be in vain.
	if balance, _, _ := s.ledger(ctx, t, "org_media"); balance < awake || balance > 10 {
		t.Errorf("while Postern was away the balance went from %d to %d", awake, balance)
	}
}
