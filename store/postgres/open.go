// Package postgres keeps Postern's records in a PostgreSQL database that several
// servers share. It knows SQL and the driver, and lets neither out: its errors are
// the sentinels of package store, or say that the database could not be asked. It
// knows no cache, no transport and no rule of authorization.
//
// It only talks to a server that takes writes: a standby may lag, and what a
// mutation has returned every later read must see. Where several hosts are named,
// it finds the one that does. A failover keeps the promises of package store if the
// standby had every acknowledged commit (synchronous replication).
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/feed"
)

// Options says what to open.
type Options struct {
	// URL of the database, as libpq takes it: postgres://user@host/database, with
	// sslmode, several hosts, and the PG* variables where it is silent.
	URL identity.Secret
	// MaxConns bounds the connections for look-ups and debits; 0 is what the URL
	// says (pool_max_conns), else 16. A few more serve mutations and the feed.
	MaxConns int
	// Clock dates audit events and changes, and whatever comes without a time.
	// Nil: the machine's.
	Clock func() time.Time
	// Log is told when notifications are cut off and come back. Nil: nobody is.
	Log *slog.Logger
}

// Store is a store.Store in a PostgreSQL database. It is safe for concurrent use
// and heals itself after the database was away.
type Store struct {
	// requests serve look-ups and debits, mutations what takes turns: whoever waits
	// for a turn must not hold up a look-up.
	requests, mutations *pgxpool.Pool
	clock               func() time.Time
	wakes               feed.Hub // of the change feed
	beats               feed.Hub // of the replicas
	listener            *listener
}

var _ store.Store = (*Store)(nil)

// Open opens a migrated database. It refuses one whose schema is older or newer
// than this build's, and never creates or changes one: see Migrate.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", discreet(err))
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	config, err := configure(o.URL, o.MaxConns)
	if err != nil {
		return nil, err
	}
	s := &Store{clock: o.Clock}
	if s.clock == nil {
		s.clock = time.Now //nolint:forbidigo // the default of what is injected
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.requests, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	forMutations := config.Copy()
	forMutations.MaxConns = mutationConns
	if s.mutations, err = pgxpool.NewWithConfig(ctx, forMutations); err != nil {
		return nil, err
	}
	if err := s.checkSchema(ctx); err != nil {
		return nil, err
	}
	if err := s.checkDurability(ctx); err != nil {
		return nil, err
	}
	s.listener, err = listen(ctx, config.ConnConfig, quietTime, o.Log, map[string]*feed.Hub{
		changesChannel: &s.wakes, replicasChannel: &s.beats,
	})
	return s, err
}

// checkDurability refuses a database that acknowledges what a crash would lose.
func (s *Store) checkDurability(ctx context.Context) error {
	var fsync, commit string
	err := s.requests.QueryRow(ctx, `SELECT current_setting('fsync'), current_setting('synchronous_commit')`).Scan(&fsync, &commit)
	if err != nil {
		return err
	}
	for setting, value := range map[string]string{"fsync": fsync, "synchronous_commit": commit} {
		if value == "off" {
			return fmt.Errorf("the database's %s is off, so that a crash loses what was acknowledged: switch it on", setting)
		}
	}
	return nil
}

// Ping implements store.Store by reading the feed.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.LatestRevision(ctx)
	return failed(ctx, err, "ping")
}

// Close implements store.Store.
func (s *Store) Close() error {
	if s.listener != nil {
		s.listener.close()
	}
	for _, pool := range []*pgxpool.Pool{s.requests, s.mutations} {
		if pool != nil {
			pool.Close()
		}
	}
	return nil
}

// now is the clock's time as the database keeps it.
func (s *Store) now() time.Time { return kept(s.clock()) }

// orNow fills in a time that the caller left out.
func (s *Store) orNow(t time.Time) time.Time {
	if t.IsZero() {
		return s.now()
	}
	return kept(t)
}
