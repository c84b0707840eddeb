package viaenvoy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"postern/internal/demo/issuer"
	"postern/internal/testenv"
	adminv1 "postern/proto/postern/admin/v1"
)

// profile is Postern's of the measured requests, and path theirs.
const (
	profile  = "authenta"
	path     = "/api/v1/jobs"
	adminKey = "the-admin-key-of-the-measurements"
	iss      = "https://issuer.example"
	audience = "api"
)

// site is all that runs while it is measured.
type site struct {
	options   Options
	reference []byte
	token     string
	servers   []server
	stops     []func()
}

// server is one that Envoy asks.
type server struct {
	name, transport string
	address         string
	pid             int
	key             string // that it lets in; empty: it asks for none
}

func (s *site) stop() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}

// start runs the servers.
func (s *site) start(ctx context.Context) (err error) {
	if s.reference, err = os.ReadFile(filepath.Join(s.options.Root, "envoy", "fast.yaml")); err != nil {
		return err
	}
	if err := os.MkdirAll(s.options.State, 0o755); err != nil {
		return err
	}
	for _, transport := range []string{tcp, unix} {
		if err := s.startStock(ctx, transport); err != nil {
			return err
		}
		if err := s.startPostern(ctx, transport); err != nil {
			return err
		}
	}
	signer, err := issuer.Open(s.options.State, "issuer", iss)
	if err != nil {
		return err
	}
	s.token, err = signer.Mint(map[string]any{"sub": "user", "aud": audience}, time.Hour)
	return err
}

func (s *site) address(name, transport string) (string, error) {
	if transport == unix {
		return "unix://" + filepath.Join(s.options.State, name+".sock"), nil
	}
	port, err := testenv.FreePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}

// run starts a process and waits until it listens.
func (s *site) run(ctx context.Context, c testenv.Command, addresses ...string) (*testenv.Process, error) {
	p, err := testenv.Start(c)
	if err != nil {
		return nil, err
	}
	s.stops = append(s.stops, func() { p.Stop(10 * time.Second) })
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, address := range addresses {
		network := tcp
		if path, found := strings.CutPrefix(address, "unix://"); found {
			network, address = unix, path
		}
		if err := p.WaitForPort(ctx, network, address); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (s *site) startStock(ctx context.Context, transport string) error {
	address, err := s.address("stock", transport)
	if err != nil {
		return err
	}
	p, err := s.run(ctx, testenv.Command{
		Name: "the stock server", Path: s.options.Stock, Args: []string{"-listen", address}, Log: filepath.Join(s.options.State, "stock-"+transport+".log"),
	}, address)
	if err != nil {
		return err
	}
	s.servers = append(s.servers, server{name: stock, transport: transport, address: address, pid: p.PID()})
	return nil
}

// startPostern runs the server as an operator would, over a new store, with one key.
func (s *site) startPostern(ctx context.Context, transport string) error {
	address, err := s.address("check", transport)
	if err != nil {
		return err
	}
	admin, err := s.address("", tcp)
	if err != nil {
		return err
	}
	file := filepath.Join(s.options.State, "postern-"+transport)
	settings := fmt.Sprintf("store: { url: %q }\ncheck: { listen: %q }\nadmin: { listen: %q, key: %q }\nlog: { allow_sample: 0.01 }\n",
		"sqlite://"+file+".db", address, admin, adminKey)
	if err := os.WriteFile(file+".yaml", []byte(settings), 0o600); err != nil {
		return err
	}
	environment := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "POSTERN_") })
	migrate := exec.CommandContext(ctx, s.options.Postern, "migrate", "up", "--config", file+".yaml")
	migrate.Env = environment
	if output, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate the store: %w\n%s", err, output)
	}
	p, err := s.run(ctx, testenv.Command{
		Name: "postern", Path: s.options.Postern, Args: []string{"serve", "--config", file + ".yaml"}, Env: environment, Log: file + ".log",
	}, address, admin)
	if err != nil {
		return err
	}
	key, err := createKey(ctx, admin)
	if err != nil {
		return fmt.Errorf("make a key: %w; see %s", err, p.Log())
	}
	s.servers = append(s.servers, server{name: postern, transport: transport, address: address, pid: p.PID(), key: key})
	return nil
}

func createKey(ctx context.Context, admin string) (string, error) {
	conn, err := grpc.NewClient(admin, grpc.WithTransportCredentials(insecure.NewCredentials())) // loopback
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+adminKey)
	_, err = adminv1.NewOrganizationServiceClient(conn).CreateOrganization(ctx, &adminv1.CreateOrganizationRequest{Id: "org_bench", Slug: "bench", Name: "Bench"})
	if err != nil {
		return "", err
	}
	created, err := adminv1.NewKeyServiceClient(conn).CreateKey(ctx, &adminv1.CreateKeyRequest{
		Profile: profile, OrganizationId: "org_bench", Name: "bench", Permissions: []string{"READ", "WRITE", "DELETE"},
	})
	return created.GetSecret(), err
}

// startEnvoy runs one with a listener for each front: while one is measured the others
// are idle. In which order Envoy makes them differs from round to round.
func (s *site) startEnvoy(ctx context.Context, threads, round int) (fronts []front, stop func(), err error) {
	var listeners, clusters []object
	add := func(f front, listen func(name string, port int) (object, error)) error {
		port, err := testenv.FreePort()
		if err != nil {
			return err
		}
		f.concurrency, f.url, f.credential = threads, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), "Bearer "+f.credential
		l, err := listen(strings.ReplaceAll(f.name+"-"+f.transport, " ", "-"), port)
		listeners, fronts = append(listeners, l), append(fronts, f)
		return err
	}
	key := s.servers[len(s.servers)-1].key
	jwks, err := os.ReadFile(filepath.Join(s.options.State, "issuer.jwks.json"))
	if err != nil {
		return nil, nil, err
	}
	own := func(filters ...object) func(string, int) (object, error) {
		return func(name string, port int) (object, error) { return listener(name, port, filters...), nil }
	}
	for _, one := range []struct {
		front  front
		listen func(string, int) (object, error)
	}{
		{front{name: noAuth, credential: key}, own()},
		{front{name: apiKey, credential: key, authenticates: true}, own(apiKeyFilter(key))},
		{front{name: jwt, credential: s.token, authenticates: true}, own(jwtFilter(iss, audience, string(jwks)))},
	} {
		if err := add(one.front, one.listen); err != nil {
			return nil, nil, err
		}
	}
	for _, server := range s.servers {
		f := front{name: server.name, transport: server.transport, serverPID: server.pid, credential: server.key, authenticates: server.key != ""}
		if f.credential == "" {
			f.credential = key
		}
		err := add(f, func(name string, port int) (l object, err error) {
			var c object
			if server.name == postern {
				l, c, err = guarded(s.reference, profile, name, port, server.address)
			} else {
				l = listener(name, port, stockFilter(name))
				c, err = cluster(name, server.address)
			}
			clusters = append(clusters, c)
			return l, err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	at := round % len(listeners)
	listeners = slices.Concat(listeners[at:], listeners[:at])
	config, err := bootstrap(s.reference, listeners, clusters)
	if err != nil {
		return nil, nil, err
	}
	envoy, err := testenv.StartEnvoy(ctx, testenv.EnvoyOptions{
		Binary: s.options.Envoy, Config: config, Dir: filepath.Join(s.options.State, fmt.Sprintf("envoy-%d-%d", threads, round)), Concurrency: threads,
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range fronts {
		fronts[i].envoyPID = envoy.PID()
	}
	return fronts, func() { envoy.Stop(10 * time.Second) }, nil
}
