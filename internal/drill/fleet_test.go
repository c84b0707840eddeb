package drill_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"postern/internal/testenv"
	adminv1 "postern/proto/postern/admin/v1"
)

const (
	adminKey = "an-admin-key-for-the-drills"
	org      = "acme"
)

// setup says what a fleet stands on.
type setup struct {
	replicas int
	store    string // URL
	cache    string // URL; empty: none
	proxied  bool   // each replica reaches both through proxies of its own
	beside   []int  // more ports that are needed, before they are shifted
}

// fleet is several servers over one store.
type fleet struct {
	t        *testing.T
	replicas []*replica
	offset   int             // of all ports
	ctx      context.Context // with the admin key
}

// The ports of the first replica in the reference configuration of Envoy, and how
// far it is to those of the next.
const (
	checkPort = 9001
	adminPort = 9002
	portStep  = 10
)

// replica is one server. Its addresses last; its process and id change when it is
// started again.
type replica struct {
	t                *testing.T
	name, log        string
	checkAt, adminAt string
	environment      []string
	postgres, redis  *testenv.Proxy // nil where it reaches them directly
	process          *testenv.Process
	id               atomic.Pointer[string] // as in ListReplicas
	conn             *grpc.ClientConn       // of the management API
	check            authv3.AuthorizationClient
}

// startFleet starts the servers with an organization.
func startFleet(t *testing.T, s setup) *fleet {
	t.Helper()
	f := &fleet{t: t, ctx: metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+adminKey)}
	ports := s.beside
	for i := range s.replicas {
		ports = append(ports, checkPort+i*portStep, adminPort+i*portStep)
	}
	var err error
	if f.offset, err = testenv.FreeOffset(ports...); err != nil {
		t.Fatal(err)
	}
	for i := range s.replicas {
		f.replicas = append(f.replicas, newReplica(t, i, f.offset+i*portStep, s))
	}
	for _, r := range f.replicas {
		r.start()
	}
	orgs := adminv1.NewOrganizationServiceClient(f.replicas[0].conn)
	if _, err := orgs.CreateOrganization(f.ctx, &adminv1.CreateOrganizationRequest{Id: org, Slug: org}); err != nil {
		t.Fatal(err)
	}
	return f
}

func newReplica(t *testing.T, i, offset int, s setup) *replica {
	t.Helper()
	r := &replica{
		t: t, name: fmt.Sprint("replica-", i+1), log: filepath.Join(t.TempDir(), "postern.log"),
		checkAt: fmt.Sprint("127.0.0.1:", checkPort+offset), adminAt: fmt.Sprint("127.0.0.1:", adminPort+offset),
	}
	if s.proxied {
		r.postgres, s.store = proxy(t, s.store)
		if s.cache != "" {
			r.redis, s.cache = proxy(t, s.cache)
		}
	}
	r.environment = append(environment(), "POSTERN_STORE_URL="+s.store, "POSTERN_CHECK_LISTEN="+r.checkAt,
		"POSTERN_ADMIN_LISTEN="+r.adminAt, "POSTERN_ADMIN_KEY="+adminKey, "POSTERN_LOG_ALLOW_SAMPLE=0", "POSTERN_LOG_LEVEL=warn")
	if s.cache != "" {
		r.environment = append(r.environment, "POSTERN_CACHE_URL="+s.cache)
	}
	r.id.Store(new(string))
	r.conn = dial(t, r.adminAt)
	r.check = authv3.NewAuthorizationClient(dial(t, r.checkAt))
	t.Cleanup(func() {
		if r.process != nil {
			r.resume()
			r.process.Stop(15 * time.Second)
		}
		if t.Failed() {
			t.Logf("%s wrote at the end:\n%s", r.name, r.tail())
		}
	})
	return r
}

// proxy puts one in front of the address in the URL.
func proxy(t *testing.T, target string) (*testenv.Proxy, string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p, err := testenv.NewProxy(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	u.Host = p.Addr
	return p, u.String()
}

// dial tries again soon after a failure, as Envoy does.
func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // loopback
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// environment is this process's without settings of Postern.
func environment() []string {
	kept := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "POSTERN_") })
	return append(kept, "GENAI_ENGINE_ADMIN_KEY=the-engine-administrator")
}

// start runs the server, waits until it listens and learns its id: the one that
// was not there before.
func (r *replica) start() {
	r.t.Helper()
	process, err := testenv.Start(testenv.Command{Name: r.name, Path: rig.binary, Args: []string{"serve"}, Env: r.environment, Log: r.log})
	if err != nil {
		r.t.Fatal(err)
	}
	r.process = process
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, address := range []string{r.checkAt, r.adminAt} {
		if err := process.WaitForPort(ctx, "tcp", address); err != nil {
			r.t.Fatal(err, r.tail())
		}
	}
	ids := r.ids(ctx)
	r.id.Store(&ids[len(ids)-1])
}

// ids are those of the replicas as this one lists them, the youngest last.
func (r *replica) ids(ctx context.Context) []string {
	r.t.Helper()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+adminKey)
	found, err := adminv1.NewReplicaServiceClient(r.conn).ListReplicas(ctx, &adminv1.ListReplicasRequest{}, grpc.WaitForReady(true))
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []string
	for _, r := range found.GetReplicas() {
		ids = append(ids, r.GetId())
	}
	if len(ids) == 0 {
		r.t.Fatal("a server that runs lists no replica")
	}
	return ids
}

// stop ends the server in order; its exit code must be 0.
func (r *replica) stop() {
	r.t.Helper()
	if code := r.process.Stop(20 * time.Second); code != 0 {
		r.t.Errorf("%s stopped with %d", r.name, code)
	}
	r.process = nil
}

// kill ends it as a crash would.
func (r *replica) kill() {
	r.process.Kill()
	r.process = nil
}

func (r *replica) pause()  { _ = syscall.Kill(r.process.PID(), syscall.SIGSTOP) }
func (r *replica) resume() { _ = syscall.Kill(r.process.PID(), syscall.SIGCONT) }

// tail is the end of what it logged.
func (r *replica) tail() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

func (r *replica) keys() adminv1.KeyServiceClient { return adminv1.NewKeyServiceClient(r.conn) }

func (r *replica) credits() adminv1.CreditServiceClient {
	return adminv1.NewCreditServiceClient(r.conn)
}
