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
	Output io.Writer
}

// Ready is the last line that a demo prints when all of it runs.
const Ready = "postern: ready"

// stopBound is how long a child may take to stop.
const stopBound = 15 * time.Second

// Run starts everything, says so, and runs until the context ends: then it stops
// every child and returns nil. When a child ends by itself, it stops the others
// and returns an error that names the log.
func Run(ctx context.Context, o Options) error {
	l := layout{root: o.Root, state: o.State, offset: o.Offset}
	if l.state == "" {
		l.state = filepath.Join(o.Root, ".run")
	}
	ports, err := l.ports()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(l.path("profiles"), 0o755); err != nil {
		return err
	}
	unlock, err := claim(l.path("demo.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if taken := testenv.CheckFree(ports...); len(taken) > 0 {
		return fmt.Errorf("the ports %v of 127.0.0.1 are in use: stop what listens there, or shift all ports with PORT_OFFSET, such as PORT_OFFSET=1000 make run", taken)
	}

	d := &demo{layout: l, out: o.Output, failed: make(chan error, 3)}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while starting
		}
		return err
	}
	fmt.Fprintln(d.out, Ready)
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.failed:
		return err
	}
}

// demo is what runs.
type demo struct {
	layout
	out    io.Writer
	envoy  string // the binary
	stops  []func()
	failed chan error // what ended and should not have

	adminKey, engineKey string
	sessions, platform  *issuer.Issuer
}

func (d *demo) start(ctx context.Context) error {
	if err := d.provide(ctx); err != nil {
		return err
	}
	if err := d.configure(); err != nil {
		return err
	}
	if err := d.serve(ctx); err != nil {
		return err
	}
	variables, err := d.seed(ctx)
	if err != nil {
		return err
	}
	if err := writeVariables(d.path("demo.env"), variables); err != nil {
		return err
	}
	printCommands(d.out, d.layout)
	return nil
}

// provide builds Postern and finds Envoy, both at once.
func (d *demo) provide(ctx context.Context) error {
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
		d.envoy, err = testenv.EnvoyBinary(ctx, d.path("envoy"))
		return err
	})
	return group.Wait()
}

// configure writes what the servers read. Keys that exist are kept.
func (d *demo) configure() (err error) {
	if d.adminKey, err = keepSecret(d.path("admin.key")); err != nil {
		return fmt.Errorf("the admin key: %w", err)
	}
	if d.engineKey, err = keepSecret(d.path("genai-engine-admin.key")); err != nil {
		return fmt.Errorf("the admin key of arthur-engine: %w", err)
	}
	if d.sessions, err = issuer.Open(d.state, "clerk", sessionIssuer); err != nil {
		return err
	}
	if d.platform, err = issuer.Open(d.state, "keycloak", platformIssuer); err != nil {
		return err
	}
	if err := os.WriteFile(d.path("profiles", "demo.yaml"), []byte(overrides()), 0o644); err != nil {
		return fmt.Errorf("write the profiles: %w", err)
	}
	if err := os.WriteFile(d.path("postern.yaml"), []byte(d.settings()), 0o644); err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}

// serve migrates the store and starts the upstream, Postern and Envoy.
func (d *demo) serve(ctx context.Context) error {
	postern := d.path("bin", "postern")
	environment := append(os.Environ(), "GENAI_ENGINE_ADMIN_KEY="+d.engineKey)
	migrate := exec.CommandContext(ctx, postern, "migrate", "up", "--config", d.path("postern.yaml"))
	migrate.Env = environment
	if output, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate the store: %w\n%s", err, output)
	}
	if err := d.serveUpstream(); err != nil {
		return err
	}
	server, err := testenv.Start(testenv.Command{
		Name: "postern", Path: postern, Args: []string{"serve", "--config", d.path("postern.yaml")},
		Env: []string{"GENAI_ENGINE_ADMIN_KEY=" + d.engineKey}, Log: d.path("postern.log"),
	})
	if err != nil {
		return err
	}
	d.watch(server)
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, port := range []int{portCheck, portAdmin} {
		if err := server.WaitForPort(waiting, "tcp", d.address(port)); err != nil {
			return err
		}
	}
	config, err := os.ReadFile(filepath.Join(d.root, "envoy", "envoy.yaml"))
	if err != nil {
		return fmt.Errorf("read envoy's configuration: %w", err)
	}
	if config, err = ShiftPorts(config, d.offset); err != nil {
		return err
	}
	envoy, err := testenv.StartEnvoy(ctx, testenv.EnvoyOptions{Binary: d.envoy, Config: config, Dir: d.state})
	if err != nil {
		return err
	}
	d.watch(envoy)
	return nil
}

func (d *demo) serveUpstream() error {
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
func (d *demo) watch(p *testenv.Process) {
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

// stop ends what was started, the last first: Envoy before what it asks.
func (d *demo) stop() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
}

// claim keeps two demos from sharing one folder, and with it one store. The
// kernel gives the claim up when its holder dies.
func claim(path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another make run works in %s; stop it first", filepath.Dir(path)), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
