// Package envoy_test asks the real Envoy, as clients do, for what the documents
// of the five APIs promise. One system serves all tests: the demo of `make run`,
// with Envoy configured by envoy.yaml, and beside it two more Envoys before the same
// Postern: one with plain.yaml, Envoy as it comes, and one with fast.yaml, which
// sends Postern fewer headers. Most tests ask all: Postern must hold without any help
// from Envoy's settings, and nothing may depend on a header that it is not sent.
package envoy_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"postern/internal/demo"
	"postern/internal/testenv"
)

// system is what runs while the tests do.
type system struct {
	root, state string
	binary      string // of Envoy
	ports       ports
	gates       []gate // the hardened Envoy, the plain one, the fast one
	admin       *grpc.ClientConn

	looked sync.Once // see lookAtSources

	// variables are demo.env and what craft adds to it; nobody changes them while
	// tests run.
	variables map[string]string
	// secrets are the values that no log may hold; tests add what they make.
	secrets secretList
}

// over says which backends the system stands on: sqlite, or postgres with Redis and
// three replicas.
var over = flag.String("over", "sqlite", "sqlite, or postgres (with Redis and three replicas)")

// world is set once, before the first test.
var world *system

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	began := time.Now()
	s, stop, err := start(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the system under test:", errors.Join(err, stop()))
		return 1
	}
	fmt.Printf("the system under test was ready after %.1f s\n", time.Since(began).Seconds())
	world = s
	code := m.Run()
	if leaks := s.leaks(); len(leaks) > 0 {
		fmt.Fprintln(os.Stderr, "after all tests, credentials are in:", leaks)
		code = 1
	}
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the system under test:", err)
		code = 1
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "the logs of the system under test are kept in", s.state)
		return code
	}
	if err := os.RemoveAll(s.state); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// start runs the demo and the other Envoys. The function it returns stops what was
// started, also when there is an error.
func start(ctx context.Context) (s *system, stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var failed error
		for i := len(stops) - 1; i >= 0; i-- {
			failed = errors.Join(failed, stops[i]())
		}
		return failed
	}
	s = &system{}
	if s.root, err = testenv.Root(); err != nil {
		return s, stop, err
	}
	// The demo looks for Envoy in its own state, which is new: name the project's.
	if s.binary, err = testenv.EnvoyBinary(ctx, filepath.Join(s.root, ".run", "envoy")); err != nil {
		return s, stop, err
	}
	if err := os.Setenv("ENVOY_BIN", s.binary); err != nil {
		return s, stop, err
	}
	if s.state, err = os.MkdirTemp("", "postern-envoy-"); err != nil {
		return s, stop, err
	}
	end, err := s.startDemo(ctx)
	stops = append(stops, end)
	if err != nil {
		return s, stop, err
	}
	for _, g := range []gate{{name: "plain"}, {name: "fast", hardened: true}} {
		envoy, err := s.startBeside(ctx, g)
		if err != nil {
			return s, stop, err
		}
		stops = append(stops, func() error { envoy.Stop(stopBound); return nil })
	}
	if err := s.connect(); err != nil {
		return s, stop, err
	}
	stops = append(stops, s.admin.Close)
	return s, stop, s.craft(ctx)
}

const stopBound = 10 * time.Second

// lookAtSources makes the result of these tests depend on Postern's sources. The
// demo builds the server, out of sight of `go test`, which calls a result good
// until something changes that it saw a test look at, and sees tests only.
func lookAtSources(root string) error {
	for _, name := range []string{"go.mod", "go.sum", "admin", "authz", "cache", "cmd", "envoy", "internal", "proto", "store"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("look at the sources: %w", err)
		}
	}
	return nil
}

func (s *system) startDemo(ctx context.Context) (stop func() error, err error) {
	options := demo.Options{Root: s.root, State: s.state}
	if *over == "postgres" {
		options.Store, options.Cache = "postgres", "redis"
	}
	offset, err := testenv.FreeOffset(options.Ports()...)
	if err != nil {
		return func() error { return nil }, err
	}
	s.ports = ports{check: portCheck + offset, admin: portAdmin + offset, upstream: portUpstream + offset}
	s.gates = append(s.gates, gate{name: "hardened", offset: offset, hardened: true})

	ctx, cancel := context.WithCancel(ctx)
	output := &announced{ready: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		options.Offset, options.Output = offset, output
		ended <- demo.Run(ctx, options)
	}()
	select {
	case <-output.ready:
		return func() error { cancel(); return <-ended }, nil
	case err := <-ended:
		cancel()
		return func() error { return nil }, fmt.Errorf("the demo ended before it was ready: %w\n%s", err, output.text.String())
	}
}

// startBeside starts an Envoy on listeners of its own, with the configuration of the
// gate's name.
func (s *system) startBeside(ctx context.Context, g gate) (_ *testenv.Process, err error) {
	if g.offset, err = testenv.FreeOffset(listenerPorts()...); err != nil {
		return nil, err
	}
	s.gates = append(s.gates, g)
	config, err := s.envoyConfig(g.name+".yaml", g.offset, s.ports)
	if err != nil {
		return nil, err
	}
	return testenv.StartEnvoy(ctx, testenv.EnvoyOptions{Binary: s.binary, Config: config, Dir: filepath.Join(s.state, g.name)})
}

// ports are where the clusters of an Envoy are.
type ports struct {
	check, admin, upstream int
	socket                 string // of the Check service, in the place of its port; empty: none
}

// The ports of the configurations, as they are written.
const (
	portCheck    = 9001
	portAdmin    = 9002
	portUpstream = 9003
)

// writtenSocket is how fast.yaml says where Postern is.
const writtenSocket = "pipe: { path: /run/postern/check.sock }"

// envoyConfig is a configuration of the project, its listeners shifted and its
// clusters at the given ports.
func (s *system) envoyConfig(name string, offset int, to ports) ([]byte, error) {
	config, err := os.ReadFile(filepath.Join(s.root, "envoy", name))
	if err != nil {
		return nil, err
	}
	if config, err = demo.ShiftPorts(config, offset); err != nil {
		return nil, err
	}
	for written, port := range map[int]int{portCheck: to.check, portAdmin: to.admin, portUpstream: to.upstream} {
		was := fmt.Appendf(nil, "port_value: %d }", written+offset)
		config = bytes.ReplaceAll(config, was, fmt.Appendf(nil, "port_value: %d }", port))
	}
	check := fmt.Appendf(nil, "socket_address: { address: 127.0.0.1, port_value: %d }", to.check)
	if to.socket != "" {
		check = fmt.Appendf(nil, "pipe: { path: %q }", to.socket)
	}
	return bytes.ReplaceAll(config, []byte(writtenSocket), check), nil
}

// announced is where the demo writes; ready is closed with its last line.
type announced struct {
	text  bytes.Buffer
	once  sync.Once
	ready chan struct{}
}

var _ io.Writer = (*announced)(nil)

func (a *announced) Write(p []byte) (int, error) {
	a.text.Write(p)
	if bytes.HasSuffix(a.text.Bytes(), []byte(demo.Ready+"\n")) {
		a.once.Do(func() { close(a.ready) })
	}
	return len(p), nil
}
