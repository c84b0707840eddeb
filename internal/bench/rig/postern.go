package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"postern/internal/demo"
	"postern/internal/demo/seed"
)

// The keys of every Postern here; they leave this machine as little as the servers do.
const (
	adminKey  = "the-admin-key-of-the-benchmarks"
	engineKey = "the-engine-key-of-the-benchmarks"
)

// Options say which Postern to start.
type Options struct {
	Address   string // of the Check service; a free port if empty
	CPUs      string // that it may use, as taskset takes them
	Store     string // URL; a new SQLite file if empty
	Cache     string // URL of the shared cache; none if empty
	CacheSize int    // records; the server's default if zero
	Profiles  string // more profiles, YAML
	Env       []string
}

// Postern is the real server with an address for its management.
type Postern struct {
	*Server
	Store string // its URL

	rig *Rig
}

// StartPostern migrates the store and runs the server.
func (r *Rig) StartPostern(ctx context.Context, o Options) (*Postern, error) {
	dir := r.Path(r.number("state"))
	if err := r.writeProfiles(dir, o.Profiles); err != nil {
		return nil, err
	}
	p := &Postern{Store: o.Store, rig: r}
	if p.Store == "" {
		p.Store = "sqlite://" + dir + "/postern.db"
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if o.Address == "" {
		if o.Address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	config := dir + ".yaml"
	if err := os.WriteFile(config, []byte(settings(o, dir, p.Store, admin)), 0o600); err != nil {
		return nil, fmt.Errorf("write the settings: %w", err)
	}
	env := append([]string{"GENAI_ENGINE_ADMIN_KEY=" + engineKey}, o.Env...)
	migrate := exec.CommandContext(ctx, r.Path("postern"), "migrate", "up", "--config", config)
	migrate.Env = environment(env...)
	if output, err := migrate.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("migrate the store: %w\n%s", err, output)
	}
	p.Server, err = r.start(ctx, &Server{Name: "postern", Address: o.Address, metrics: admin}, o.CPUs, env, func(*Server) []string {
		return []string{r.Path("postern"), "serve", "--config", config}
	})
	return p, err
}

// settings are as in deploy/postern.yaml where the machine allows it.
func settings(o Options, dir, store, admin string) string {
	text := fmt.Sprintf("store: { url: %q }\ncheck: { listen: %q }\nadmin: { listen: %q, key: %q }\n"+
		"profiles: { files: [%q] }\nlog: { format: json, allow_sample: 0.01 }\n", store, o.Address, admin, adminKey, dir)
	if o.Cache != "" || o.CacheSize != 0 {
		text += "cache:\n"
	}
	if o.Cache != "" {
		text += fmt.Sprintf("  url: %q\n", o.Cache)
	}
	if o.CacheSize != 0 {
		text += fmt.Sprintf("  size: %d\n", o.CacheSize)
	}
	return text
}

// writeProfiles fits the presets to loopback, as make run does, and adds more. The
// key sets of the issuers stand beside the folder.
func (r *Rig) writeProfiles(dir, more string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"demo.yaml": demo.Overrides(), "more.yaml": more} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the profiles: %w", err)
		}
	}
	return nil
}

// Admin is a connection to the management API, and a context with its key.
func (p *Postern) Admin(ctx context.Context) (*grpc.ClientConn, context.Context, error) {
	conn, err := grpc.NewClient("passthrough:///"+p.metrics, grpc.WithTransportCredentials(insecure.NewCredentials())) // loopback
	return conn, metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+adminKey), err
}

// Seed fills the store through the management API with what make run shows, and
// returns the credentials by the names they have there.
func (p *Postern) Seed(ctx context.Context) (map[string]string, error) {
	conn, ctx, err := p.Admin(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	seeded, err := seed.Run(ctx, seed.Options{
		Admin: conn, EngineURL: "http://" + p.metrics, EngineKey: engineKey, Sessions: p.rig.sessions, Platform: p.rig.platform,
	})
	if err != nil {
		return nil, fmt.Errorf("seed: %w, see %s", err, p.Log())
	}
	return seeded, nil
}
