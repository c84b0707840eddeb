package wire

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"postern/authz/identity"
	"postern/cache"
	"postern/internal/config"
	"postern/store"
	"postern/store/sqlite"
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

func openStore(ctx context.Context, url string) (store.Store, error) {
	parsed, err := config.ParseStoreURL(url)
	if err != nil {
		return nil, fmt.Errorf("store.url: %w", err)
	}
	opened, err := sqlite.Open(ctx, sqlite.Options{Path: parsed.Path})
	if err != nil {
		return nil, err // and no store that is not nil but holds nothing
	}
	return opened, nil
}

// makeCaches makes the tiers, the follower that keeps them honest, and the fleet
// this replica belongs to; and reads the feed, so that the caches may be used.
func (s *Server) makeCaches(ctx context.Context) error {
	var err error
	if s.caches, err = newCaches(s.config.Cache.TTL, s.config.Cache.NegativeTTL, s.config.Cache.Size, time.Now); err != nil {
		return err
	}
	s.fleet, err = cache.NewFleet(s.store, cache.FleetOptions{
		Self:  identity.Replica{ID: identity.ReplicaID(rand.Text()), Name: replicaName()},
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
	return s.follower.Start(ctx)
}

// replicaName is what people call this replica: its host.
func replicaName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "postern"
	}
	return name
}
