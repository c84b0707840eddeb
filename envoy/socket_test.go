package envoy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fast.yaml as it is written: Envoy asks through the socket, and nothing listens on a
// port for Checks.
func TestOverASocketItIsAllowedDeniedAndAwayAsOverAPortAndComesBack(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "postern-") // a test's own name is too long for a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := startAlone(t, filepath.Join(folder, "check.sock"), "artanis", "artos", "authenta")
	s.through(t, gate{name: "fast", hardened: true}, "fast.yaml", nil)
	g, ctx := s.gates[0], t.Context()
	if err := s.tenant(ctx, "org_media", 10); err != nil {
		t.Fatal(err)
	}
	id, key, err := s.key(ctx, "authenta", "org_media", "READ", "WRITE")
	if err != nil {
		t.Fatal(err)
	}
	answers := func() {
		t.Helper()
		g.until(t, 200, "authenta", "GET /api/v1/jobs", bearer(key)...)
		seen := g.send(t, "authenta", "GET /api/v1/jobs", append(bearer(key), "x-org-id: evil", "x.org.id: evil", "x-user-id-: evil")...).allowed(t)
		mustTell(t, seen, map[string]string{
			"x-org-id": "org_media", "x-org-slug": slugOf("org_media"), "x-key-id": id, "x-permissions": "READ,WRITE", "x-auth-method": "api_key",
		})
		for name, values := range seen.Headers {
			if strings.Contains(strings.Join(values, "|"), "evil") {
				t.Errorf("the upstream received %s: %q", name, values)
			}
		}
		g.send(t, "authenta", "GET /api/v1/jobs").denied(t, 401, authentaInvalid)
		g.send(t, "authenta", "GET /api/v1/jobs", bearer(key+"x")...).denied(t, 401, authentaInvalid)
		info, err := os.Lstat(s.ports.socket)
		if err != nil || info.Mode() != fs.ModeSocket|0o660 {
			t.Errorf("the socket is %v, %v; its owner and its group may use it, nobody else", info.Mode(), err)
		}
	}
	answers()

	if code := s.postern.Stop(stopBound); code != 0 {
		t.Errorf("Postern ended with %d", code)
	}
	if _, err := os.Lstat(s.ports.socket); err == nil {
		t.Error("the socket stays behind")
	}
	isAway := func() {
		t.Helper()
		r := g.once(t, "authenta", "GET /api/v1/jobs", bearer(key)...)
		r.body = strings.TrimSuffix(r.body, "\n") // Envoy's own
		r.denied(t, 503, `{"code":"UNAVAILABLE","statusCode":503,"message":"`+away+`"}`)
	}
	isAway()
	s.start(t)
	answers()

	s.postern.Kill() // and leaves the socket where it was
	if _, err := os.Lstat(s.ports.socket); err != nil {
		t.Error(err)
	}
	isAway()
	s.start(t)
	answers()
}
