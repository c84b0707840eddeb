package envoy_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/demo"
	"postern/internal/testenv"
)

// small is a Postern with Envoys of its own, for tests that stop it or give it
// other profiles. Its upstream is the demo's.
type small struct {
	directory
	dir     string
	ports   ports
	postern *testenv.Process
	gates   []gate // the hardened Envoy, then the plain one; or the fast one alone
}

const smallKey = "the-admin-key-of-a-small-system-0123456789"

// startSmall serves presets, unmodified, to a hardened and a plain Envoy. The edit,
// where there is one, changes the hardened Envoy's configuration.
func startSmall(t *testing.T, edit func(config string) string, presets ...string) *small {
	t.Helper()
	s := startAlone(t, "", presets...)
	s.through(t, gate{name: "hardened", hardened: true}, "envoy.yaml", edit)
	s.through(t, gate{name: "plain"}, "plain.yaml", nil)
	return s
}

// startAlone serves presets, unmodified, on a port, or on a unix socket where one is
// named, and starts no Envoy.
func startAlone(t *testing.T, socket string, presets ...string) *small {
	t.Helper()
	offset, err := testenv.FreeOffset(demo.Ports()...)
	if err != nil {
		t.Fatal(err)
	}
	s := &small{dir: t.TempDir(), ports: ports{check: portCheck + offset, admin: portAdmin + offset, upstream: world.ports.upstream, socket: socket}}
	var files []string
	for _, preset := range presets {
		files = append(files, fmt.Sprintf("%q", filepath.Join(world.root, "authz", "profile", "presets", preset+".yaml")))
	}
	check := fmt.Sprintf("127.0.0.1:%d", s.ports.check)
	if socket != "" {
		check = "unix://" + socket
	}
	config := fmt.Sprintf("store: { url: %q }\ncheck: { listen: %q }\nadmin: { listen: 127.0.0.1:%d }\nprofiles: { presets: false, files: [%s] }\n",
		"sqlite://"+filepath.Join(s.dir, "postern.db"), check, s.ports.admin, strings.Join(files, ", "))
	if err := os.WriteFile(filepath.Join(s.dir, "postern.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	migrate := exec.Command(s.binary(), "migrate", "up", "--config", filepath.Join(s.dir, "postern.yaml"))
	migrate.Env = append(os.Environ(), "POSTERN_ADMIN_KEY="+smallKey)
	if output, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("migrate: %v\n%s", err, output)
	}
	s.start(t)
	t.Cleanup(func() { s.postern.Stop(stopBound) })

	conn, err := dialAdmin(s.ports.admin, smallKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s.directory = newDirectory(conn, &world.secrets)
	return s
}

// through starts an Envoy before it, with a configuration of the project.
func (s *small) through(t *testing.T, g gate, name string, edit func(config string) string) {
	t.Helper()
	g.offset = must[int](t)(testenv.FreeOffset(listenerPorts()...))
	config := must[[]byte](t)(world.envoyConfig(name, g.offset, s.ports))
	if edit != nil {
		config = []byte(edit(string(config)))
	}
	testenv.RunEnvoy(t, config)
	s.gates = append(s.gates, g)
}

func (s *small) binary() string { return filepath.Join(world.state, "bin", "postern") }

func (s *small) start(t *testing.T) {
	t.Helper()
	process, err := testenv.Start(testenv.Command{
		Name: "postern", Path: s.binary(), Args: []string{"serve", "--config", filepath.Join(s.dir, "postern.yaml")},
		Env: []string{"POSTERN_ADMIN_KEY=" + smallKey}, Log: filepath.Join(s.dir, "postern.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.postern = process
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	network, check := "tcp", fmt.Sprintf("127.0.0.1:%d", s.ports.check)
	if s.ports.socket != "" {
		network, check = "unix", s.ports.socket
	}
	if err := process.WaitForPort(ctx, network, check); err != nil {
		t.Fatal(err)
	}
	if err := process.WaitForPort(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", s.ports.admin)); err != nil {
		t.Fatal(err)
	}
}

// once sends a request a single time: here Envoy's own answers are looked at.
func (g gate) once(t *testing.T, api, line string, headers ...string) reply {
	t.Helper()
	r, err := exchange(g.address(api), requestText(line, "", headers), line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}
