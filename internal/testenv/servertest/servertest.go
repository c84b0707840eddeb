// Package servertest runs a whole Postern server in a test's own process: the real
// store, engine and listeners, on free ports of loopback. It knows the composition
// root, and no proxy.
package servertest

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"postern/authz/identity"
	"postern/internal/config"
	"postern/internal/wire"
	"postern/store/sqlite"
)

// The keys of every server that Start starts.
const (
	AdminKey       = "test-admin-key-0123456789abcdef"
	EngineAdminKey = "test-engine-admin-key-0123456789" // of the profile arthur-engine
)

// Server is one that runs until its test ends.
type Server struct {
	URL string // of the management listener, without a last slash
	log buffer
}

// Log is what the server has logged so far, from the level debug on.
func (s *Server) Log() string { return s.log.String() }

// Start runs a server with the presets and the given profiles (YAML documents)
// over an empty store.
func Start(t testing.TB, profiles ...string) *Server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	folder := t.TempDir()
	path := filepath.Join(folder, "postern.db")
	if _, err := sqlite.Migrate(ctx, path); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Store.URL = "sqlite://" + path
	c.Check.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Admin.Key = identity.NewSecret(AdminKey)
	for i, text := range profiles {
		file := filepath.Join(folder, "profile"+string(rune('a'+i))+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c.Profiles.Files = append(c.Profiles.Files, file)
	}
	s := &Server{}
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	env := func(name string) (string, bool) { return EngineAdminKey, name == "GENAI_ENGINE_ADMIN_KEY" }
	server, err := wire.New(ctx, c, env, log)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	s.URL = "http://" + server.AdminAddress()
	return s
}

// Dial connects to the management API; nobody adds a key to its calls.
func (s *Server) Dial(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.URL[len("http://"):], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
