package wire

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/authz/identity"
	"postern/cache"
	"postern/cache/redis"
)

// The writes to the shared cache: who makes them, how many may wait, and how long
// one may take.
const (
	sharedWriters = 4
	sharedQueue   = 4096
	sharedWrite   = time.Second
)

// sharedCache is the Redis between the replicas' caches and the store. A nil one
// does nothing.
type sharedCache struct {
	redis  *redis.Cache
	writes *cache.Writes
}

// makeShared opens the shared cache where one is configured. It need not be there:
// a replica that cannot reach it asks the store.
func (s *Server) makeShared(ctx context.Context) error {
	if s.config.Cache.URL.IsZero() {
		return nil
	}
	prefix, secret, err := s.sharedNames(ctx)
	if err != nil {
		return err
	}
	client, err := redis.New(redis.Options{URL: s.config.Cache.URL})
	if err != nil {
		return fmt.Errorf("cache.url: %w", err)
	}
	s.shared = &sharedCache{redis: client, writes: cache.NewWrites(sharedWriters, sharedQueue, sharedWrite)}
	breaker, err := cache.NewBreaker(client, time.Now)
	if err != nil {
		return err
	}
	seen, err := sharedMetrics(s.registry, breaker)
	if err != nil {
		return err
	}
	s.caches.share(sharing{
		shared: breaker, writes: s.shared.writes, prefix: prefix, secret: secret,
		ttl: s.config.Cache.TTL, timeout: s.config.Cache.Timeout, applied: s.follower.Applied, seen: seen,
	})
	return nil
}

// sharedNames are what all replicas of one store have in common, and no other: the
// beginning of their keys, and the secret that vouches for their values.
func (s *Server) sharedNames(ctx context.Context) (prefix string, secret []byte, err error) {
	name, err := s.store.SharedSecret(ctx, "cache_name", identity.NewSecret(rand.Text()))
	if err != nil {
		return "", nil, fmt.Errorf("naming the shared cache: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	kept, err := s.store.SharedSecret(ctx, "cache_secret", identity.NewSecret(base64.StdEncoding.EncodeToString(random)))
	if err != nil {
		return "", nil, fmt.Errorf("keeping the shared cache's secret: %w", err)
	}
	secret, err = base64.StdEncoding.DecodeString(kept.Reveal())
	if err != nil || len(secret) < 32 {
		return "", nil, fmt.Errorf("the shared cache's secret in the store is damaged; remove it, and every replica starts with an empty shared cache")
	}
	return "postern:" + name.Reveal() + ":", secret, nil
}

func sharedMetrics(registry prometheus.Registerer, breaker *cache.Breaker) (func(cache.Event), error) {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "postern_shared_cache_events_total",
		Help: "Look-ups in the shared cache and writes to it, by what became of them.",
	}, []string{"event"})
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "postern_shared_cache_open",
		Help: "1 while the shared cache is left alone after failures.",
	}, func() float64 {
		if breaker.State() == cache.BreakerOpen {
			return 1
		}
		return 0
	})
	for _, c := range []prometheus.Collector{events, open} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	counters := map[cache.Event]prometheus.Counter{}
	for _, e := range []cache.Event{cache.SharedHit, cache.SharedMiss, cache.SharedStale, cache.SharedForeign, cache.SharedError, cache.SharedDropped} {
		counters[e] = events.WithLabelValues(string(e))
	}
	return func(e cache.Event) { counters[e].Inc() }, nil
}

func (s *sharedCache) run(ctx context.Context) {
	if s != nil {
		s.writes.Run(ctx)
	}
}

func (s *sharedCache) close() error {
	if s == nil {
		return nil
	}
	return s.redis.Close()
}
