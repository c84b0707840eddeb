package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"postern/internal/demo/issuer"
	"postern/internal/demo/upstream"
	"postern/internal/testenv"
)

// Options say which demo to run.
type Options struct {
	Root   string // the project's folder
	State  string // where everything is written; empty: .run in Root
	Offset int    // added to every port
	Envoy  string // the configuration in the folder envoy; empty: envoy.yaml
	Store  string // sqlite or postgres; empty: sqlite
	Cache  string // redis, or empty: none is shared
	Output io.Writer
}

// Ports are all ports that such a demo takes, not shifted.
func (o Options) Ports() []int {
	ports := Ports()
	if o.Store == "postgres" {
		l := layout{count: replicas}
		ports = append(ports, append(l.further(portCheck), l.further(portAdmin)...)...)
	}
	return ports
}

// Ready is the last line that a demo prints when all of it runs.
const Ready = "postern: ready"

// stopBound is how long a child may take to stop.
const stopBound = 15 * time.Second

// Run starts everything, says so, and runs until the context ends: then it stops
// every child and returns nil. When a child ends by itself, it stops the others
// and returns an error that names the log.
func Run(ctx context.Context, o Options) error {
	d, err := Start(ctx, o)
	if ctx.Err() != nil && err != nil {
		return nil // told to stop while starting
	}
	if err != nil {
		return err
	}
	defer d.Stop()
	printCommands(o.Output, d.layout)
	fmt.Fprintln(o.Output, Ready)
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.failed:
		return err
	}
}

// Demo is a demo that runs.
type Demo struct {
	layout
	config string   // Envoy's, a file name
	envoy  string   // the binary
	stops  []func() // what was started, the first first
	failed chan error

	store, cache        string // which backends
	storeURL, cacheURL  string
	envoyPID            int
	adminKey, engineKey string
	sessions, platform  *issuer.Issuer
	variables           []variable
}

// Start starts everything and returns when it can be used; demo.env is written
// then. What was started is stopped again when something fails.
func Start(ctx context.Context, o Options) (*Demo, error) {
	d := &Demo{layout: layout{root: o.Root, state: o.State, offset: o.Offset, count: 1}, config: o.Envoy, store: o.Store, cache: o.Cache, failed: make(chan error, 8)}
	if d.store == "postgres" {
		d.count = replicas
	}
	if d.state == "" {
		d.state = filepath.Join(o.Root, ".run")
	}
	if d.config == "" {
		d.config = "envoy.yaml"
	}
	if err := d.start(ctx); err != nil {
		d.Stop()
		return nil, err
	}
	return d, nil
}

// Variables are the ones of demo.env by name.
func (d *Demo) Variables() map[string]string {
	values := make(map[string]string, len(d.variables))
	for _, v := range d.variables {
		values[v.name] = v.value
	}
	return values
}

// Stop ends what was started, the last first: Envoy before what it asks.
func (d *Demo) Stop() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
	d.stops = nil
}

func (d *Demo) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.claim, d.provide, d.backends, d.configure, d.migrate, d.serve, d.seed} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return writeVariables(d.path("demo.env"), d.variables)
}

// claim takes the folder and looks at the ports, before anything is started. Two
// demos must not share one folder, and with it one store; the kernel gives the
// claim up when its holder dies.
func (d *Demo) claim(context.Context) error {
	ports, err := d.ports()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.path("profiles"), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(d.path("demo.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return errors.Join(fmt.Errorf("another make run works in %s; stop it first", d.state), lock.Close())
	}
	d.stops = append(d.stops, func() { _ = lock.Close() })
	if taken := testenv.CheckFree(ports...); len(taken) > 0 {
		return fmt.Errorf("the ports %v of 127.0.0.1 are in use: stop what listens there, or shift all ports with PORT_OFFSET, such as PORT_OFFSET=1000 make run", taken)
	}
	return nil
}

// provide builds Postern and finds Envoy, both at once.
func (d *Demo) provide(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		build := exec.CommandContext(ctx, "go", "build", "-o", d.path("bin")+string(filepath.Separator), "./cmd/postern", "./cmd/posternctl")
		build.Dir = d.root
		if output, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build postern: %w\n%s", err, output)
		}
		return nil
	})
	group.Go(func() (err error) {
		d.envoy, err = testenv.EnvoyBinary(ctx, filepath.Join(d.root, ".run", "envoy"))
		return err
	})
	return group.Wait()
}

// configure writes what the servers read. Keys that exist are kept.
func (d *Demo) configure(context.Context) (err error) {
	if d.adminKey, err = keepSecret(d.path("admin.key")); err != nil {
		return fmt.Errorf("the admin key: %w", err)
	}
	if d.engineKey, err = keepSecret(d.path("genai-engine-admin.key")); err != nil {
		return fmt.Errorf("the admin key of arthur-engine: %w", err)
	}
	if d.sessions, err = issuer.Open(d.state, "clerk", SessionIssuer); err != nil {
		return err
	}
	if d.platform, err = issuer.Open(d.state, "keycloak", PlatformIssuer); err != nil {
		return err
	}
	if err := os.WriteFile(d.path("profiles", "demo.yaml"), []byte(Overrides()), 0o644); err != nil {
		return fmt.Errorf("write the profiles: %w", err)
	}
	for replica := range d.count {
		if err := os.WriteFile(d.settingsFile(replica), []byte(d.settings(replica)), 0o600); err != nil {
			return fmt.Errorf("write the settings: %w", err)
		}
	}
	return nil
}

// environment is the children's: settings of Postern that the terminal happens to
// have, such as an older demo.env, must not overrule the demo's own.
func (d *Demo) environment() []string {
	kept := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "POSTERN_") })
	return append(kept, "GENAI_ENGINE_ADMIN_KEY="+d.engineKey)
}

func (d *Demo) migrate(ctx context.Context) error {
	migrate := exec.CommandContext(ctx, d.path("bin", "postern"), "migrate", "up", "--config", d.path("postern.yaml"))
	migrate.Env = d.environment()
	if output, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate the store: %w\n%s", err, output)
	}
	return nil
}

// serve starts the upstream, Postern and Envoy.
func (d *Demo) serve(ctx context.Context) error {
	if err := d.serveUpstream(); err != nil {
		return err
	}
	for replica := range d.count {
		if err := d.serveReplica(ctx, replica); err != nil {
			return err
		}
	}
	config, err := os.ReadFile(filepath.Join(d.root, "envoy", d.config))
	if err != nil {
		return fmt.Errorf("read envoy's configuration: %w", err)
	}
	for _, port := range []int{portCheck, portAdmin} {
		if config, err = AddEndpoints(config, port, d.further(port)...); err != nil {
			return err
		}
	}
	if config, err = ShiftPorts(config, d.offset); err != nil {
		return err
	}
	envoy, err := testenv.StartEnvoy(ctx, testenv.EnvoyOptions{Binary: d.envoy, Config: config, Dir: d.state})
	if err != nil {
		return err
	}
	d.envoyPID = envoy.PID()
	d.watch(envoy)
	return nil
}

// serveReplica starts one server and waits until it can be asked.
func (d *Demo) serveReplica(ctx context.Context, replica int) error {
	log := strings.TrimSuffix(d.settingsFile(replica), ".yaml") + ".log"
	server, err := testenv.Start(testenv.Command{
		Name: "postern", Path: d.path("bin", "postern"), Args: []string{"serve", "--config", d.settingsFile(replica)},
		Env: d.environment(), Log: log,
	})
	if err != nil {
		return err
	}
	d.watch(server)
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, port := range []int{portCheck, portAdmin} {
		if err := server.WaitForPort(waiting, "tcp", d.address(port+replica*replicaStep)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Demo) serveUpstream() error {
	listener, err := net.Listen("tcp", d.address(portUpstream))
	if err != nil {
		return fmt.Errorf("the example upstream: %w", err)
	}
	server := upstream.NewServer()
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("the example upstream: %w", err)
		}
	}()
	d.stops = append(d.stops, func() { _ = server.Close() })
	return nil
}

// watch stops the process with the demo, and the demo with the process.
func (d *Demo) watch(p *testenv.Process) {
	stopping := make(chan struct{})
	go func() {
		select {
		case <-stopping:
		case <-p.Done():
			d.failed <- p.Failure()
		}
	}()
	d.stops = append(d.stops, func() {
		close(stopping)
		p.Stop(stopBound)
	})
}
