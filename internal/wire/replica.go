package wire

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/authz/identity"
	"postern/cache"
)

// The feed is read at every commit and, should a hint be lost, every poll; caches
// are trusted for the lease after a read. The registry of replicas is looked at
// this often, without a hint, while a mutation waits for it.
const (
	feedPoll   = time.Second
	feedLease  = 5 * time.Second
	feedReplay = 10_000
	fleetLook  = 50 * time.Millisecond
)

// makeCaches makes the tiers, the follower that keeps them honest, and the fleet
// this replica belongs to; and reads the feed, so that the caches may be used.
func (s *Server) makeCaches(ctx context.Context) error {
	var err error
	if s.caches, err = newCaches(s.config.Cache.TTL, s.config.Cache.NegativeTTL, s.config.Cache.Size, time.Now); err != nil {
		return err
	}
	s.fleet, err = cache.NewFleet(s.store, cache.FleetOptions{
		Self:  identity.Replica{ID: identity.ReplicaID(rand.Text()), Name: replicaName(s.config.Check.Listen)},
		Lease: feedLease, Look: fleetLook, Clock: time.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.follower, err = cache.NewFollower(s.store, s.caches.fence, s.caches.history, s.caches.apply, cache.FollowerOptions{
		Poll: feedPoll, Lease: feedLease, Replay: feedReplay, Forget: s.caches.forget, Report: s.fleet.Report,
		Clock: time.Now, Log: s.log,
	})
	if err != nil {
		return err
	}
	if err := s.makeShared(ctx); err != nil {
		return err
	}
	if err := s.replicaMetrics(); err != nil {
		return err
	}
	return s.follower.Start(ctx)
}

// replicaMetrics show how far this replica follows the feed, and whether its
// caches are still trusted.
func (s *Server) replicaMetrics() error {
	return errors.Join(
		s.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_feed_applied_revision",
			Help: "The revision of the change feed that this replica has applied.",
		}, func() float64 { return float64(s.follower.Applied()) })),
		s.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "postern_caches_trusted",
			Help: "1 while the lease holds, 0 once the change feed could not be read for too long.",
		}, func() float64 {
			if s.caches.fence.Trusted(time.Now()) {
				return 1
			}
			return 0
		})),
	)
}

// replicaName is what people call this replica: its host, and the port by which it
// differs from others there.
func replicaName(listen string) string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		name = "postern"
	}
	if _, port, err := net.SplitHostPort(listen); err == nil && port != "0" {
		return name + ":" + port
	}
	return name
}
