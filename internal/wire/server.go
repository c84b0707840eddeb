package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"postern/admin"
	"postern/admin/keyapi"
	"postern/admin/server"
	"postern/authz"
	"postern/authz/credential"
	"postern/authz/profile"
	"postern/authz/token"
	"postern/cache"
	"postern/envoy/extauthz"
	"postern/envoy/transport"
	"postern/internal/config"
	"postern/internal/observe"
	"postern/store"
)

// Server is a whole Postern: the Check service, the management API and what they
// stand on. Make one with New, run it once with Run.
type Server struct {
	config    config.Config
	env       func(string) (string, bool)
	log       *slog.Logger
	registry  *prometheus.Registry
	store     store.Store
	caches    *caches
	follower  *cache.Follower
	fleet     *cache.Fleet
	shared    *sharedCache // nil: none
	usage     *usageGatherer
	engine    *authz.Engine
	snapshots *snapshots

	checkListener, adminListener net.Listener
	service                      *extauthz.Server
	check                        *transport.Server
	grpc                         *grpc.Server
	health                       *health.Server
	management                   *http.Server
}

// New makes a server and opens its listeners, so that whoever starts it knows at
// once whether it can run. env looks up environment variables that profiles name.
func New(ctx context.Context, c config.Config, env func(string) (string, bool), log *slog.Logger) (*Server, error) {
	return build(ctx, c, env, log, openStore)
}

// build is New with the store that open opens.
func build(
	ctx context.Context, c config.Config, env func(string) (string, bool), log *slog.Logger,
	open func(context.Context, string) (store.Store, error),
) (_ *Server, err error) {
	s := &Server{config: c, env: env, log: log, registry: observe.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	set, err := profile.Load(c.Profiles.Presets, c.Profiles.Files...)
	if err != nil {
		return nil, err
	}
	set.AssumeEnvironment(c.Environment)
	if s.store, err = open(ctx, c.Store.URL); err != nil {
		return nil, err
	}
	if err = s.assemble(ctx, set); err != nil {
		return nil, err
	}
	return s, nil
}

// assemble makes everything that stands on the store.
func (s *Server) assemble(ctx context.Context, set *profile.Set) error {
	decisions, err := observe.NewDecisions(s.registry)
	if err != nil {
		return err
	}
	s.usage = newUsageGatherer(s.store, s.log)
	recorder := newRecorder(s.log, decisions, s.usage, set)
	for _, step := range []func() error{
		func() error { return s.makeCaches(ctx) },
		func() error { return s.makeEngine(ctx, set, recorder.Panicked) },
		func() error { return s.makeCheck(recorder) },
		func() error { return s.makeManagement(set) },
		func() (err error) {
			s.checkListener, err = listen(ctx, "check.listen", s.config.Check.Listen)
			return err
		},
		func() (err error) {
			s.adminListener, err = listen(ctx, "admin.listen", s.config.Admin.Listen)
			return err
		},
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) makeEngine(ctx context.Context, set *profile.Set, panicked func(any, []byte)) error {
	ring, err := token.NewKeyRing(nil)
	if err != nil {
		return err
	}
	if err := ensureSigningKeys(ctx, s.store, set, ring, time.Now); err != nil {
		return err
	}
	reads, verifications, err := newLimiters(s.store, s.registry, time.Now)
	if err != nil {
		return err
	}
	authenticator, err := credential.NewAuthenticator(records{s.store, reads}, credential.Options{Workers: s.config.Hash.Workers, Clock: time.Now})
	if err != nil {
		return err
	}
	s.snapshots = &snapshots{config: s.config, env: s.env, clock: time.Now, ring: ring, verifications: verifications}
	snapshot, err := s.snapshots.make(set)
	if err != nil {
		return err
	}
	s.engine, err = authz.NewEngine(snapshot, s.caches.ports(s.store, reads, authenticator), authz.Options{
		Clock: time.Now, Panicked: panicked,
	})
	return err
}

// The Check service's bounds. Connections end now and then, so that Envoys spread
// over new replicas.
const (
	maxCheckBytes   = 1 << 20
	maxChecks       = 1024 // under way on one connection
	connectionAge   = 10 * time.Minute
	connectionGrace = 30 * time.Second
)

// makeCheck makes the Check service. Nearly all calls are Checks, which transport
// answers itself; the others are the gRPC server's.
func (s *Server) makeCheck(r extauthz.Recorder) error {
	service, err := extauthz.NewServer(s.engine, r, extauthz.NewLog(s.log, s.config.Log.AllowSample), time.Now)
	if err != nil {
		return err
	}
	s.service, s.health = service, health.NewServer()
	s.grpc = grpc.NewServer(grpc.ForceServerCodecV2(extauthz.Codec()), grpc.MaxRecvMsgSize(maxCheckBytes))
	service.Register(s.grpc)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.check, err = transport.NewServer(transport.Options{
		Path: extauthz.Method, Unary: service, Others: s.grpc, MaxMessage: maxCheckBytes, MaxStreams: maxChecks,
		MaxAge: connectionAge, MaxAgeGrace: connectionGrace, Log: s.log,
	})
	return err
}

func (s *Server) makeManagement(set *profile.Set) error {
	service, err := admin.NewService(admin.Options{
		Store: s.store, Profile: findProfile(s.engine), Signer: signer{s.snapshots.ring, s.config.Issuer},
		Decider: decider{s.engine}, Confirmer: confirmer{s.fleet}, Fleet: s.fleet, Usages: s.store, Clock: time.Now, Logger: s.log,
	})
	if err != nil {
		return err
	}
	open := map[string]http.Handler{
		"/metrics":               promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}),
		"/healthz/live":          http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { status(w, http.StatusOK, "alive") }),
		"/healthz/ready":         http.HandlerFunc(s.ready),
		"/.well-known/jwks.json": http.HandlerFunc(s.jwks),
	}
	for _, name := range set.Names() {
		if set.ByName(name).KeyManagement == nil {
			continue
		}
		api, err := keyapi.New(keyapi.Options{
			Keys: service, Authorizer: authorizer{s.engine}, Profile: name, Find: findProfile(s.engine), Clock: time.Now, Logger: s.log,
		})
		if err != nil {
			return err
		}
		if open[keyapi.Path] != nil {
			return fmt.Errorf("profile %q: another profile serves keys at %s already; take key_management from one of them", name, keyapi.Path)
		}
		open[keyapi.Path], open[keyapi.Path+"/"] = api, api
	}
	handler, err := server.NewHandler(server.Options{Service: service, AdminKey: s.config.Admin.Key, Open: open, Logger: s.log})
	if err != nil {
		return err
	}
	s.management = server.NewHTTPServer(handler)
	return nil
}

// ready tells whether a Check would be answered: the store can be read, or the
// caches are still trusted.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	err := s.store.Ping(ctx)
	switch {
	case err == nil:
		status(w, http.StatusOK, "ready")
	case s.caches.fence.Trusted(time.Now()):
		status(w, http.StatusOK, "the store cannot be read; known credentials are served from the caches")
	default:
		status(w, http.StatusServiceUnavailable, "the store cannot be read")
	}
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "max-age=60")
	_, _ = w.Write(s.snapshots.ring.JWKS()) // a client that is gone is no concern of ours
}

func status(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": text}) // as above
}
