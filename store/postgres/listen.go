package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/store/internal/feed"
)

// The channels of NOTIFY, by which a commit wakes other servers.
const (
	changesChannel  = "postern_changes"
	replicasChannel = "postern_replicas"
)

const (
	// quietTime is how long the connection may say nothing before it is asked
	// whether it is still there.
	quietTime = 10 * time.Second
	// reconnectPause is the first and the longest pause before connecting again.
	reconnectPause, longestPause = 50 * time.Millisecond, 2 * time.Second
)

// listener hears the database's notifications on a connection of its own, and
// connects again when it is lost. What it misses meanwhile are hints: it wakes
// everyone when it is back, and the tables hold the truth.
type listener struct {
	config *pgx.ConnConfig
	hubs   map[string]*feed.Hub // by channel
	log    *slog.Logger
	quiet  time.Duration
	stop   context.CancelFunc
	done   chan struct{}
}

// listen starts one that hears from now on.
func listen(ctx context.Context, config *pgx.ConnConfig, quiet time.Duration, log *slog.Logger, hubs map[string]*feed.Hub) (*listener, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &listener{config: config.Copy(), hubs: hubs, log: log, quiet: quiet, stop: stop, done: make(chan struct{})}
	conn, err := l.connect(ctx)
	if err != nil {
		stop()
		return nil, fmt.Errorf("listen: %w", err)
	}
	go l.run(running, conn)
	return l, nil
}

// close ends it and waits until it has.
func (l *listener) close() {
	l.stop()
	<-l.done
}

func (l *listener) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, l.config)
	if err != nil {
		return nil, err
	}
	for channel := range l.hubs {
		if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
			return nil, errors.Join(err, conn.Close(ctx))
		}
	}
	return conn, nil
}

func (l *listener) run(ctx context.Context, conn *pgx.Conn) {
	defer close(l.done)
	for conn != nil {
		err := l.hear(ctx, conn)
		hangUp(ctx, conn)
		if ctx.Err() != nil {
			return
		}
		l.log.Warn("the database's notifications are cut off; changes are polled for", "error", discreet(err))
		if conn = l.reconnect(ctx); conn == nil {
			return
		}
		l.log.Info("the database's notifications are back")
		for _, hub := range l.hubs {
			hub.Wake()
		}
	}
}

// hear wakes whoever waits, until the connection is lost.
func (l *listener) hear(ctx context.Context, conn *pgx.Conn) error {
	for {
		quiet, cancel := context.WithTimeout(ctx, l.quiet)
		heard, err := conn.WaitForNotification(quiet)
		cancel()
		switch {
		case err == nil:
			if hub := l.hubs[heard.Channel]; hub != nil {
				hub.Wake()
			}
		case ctx.Err() != nil || conn.IsClosed():
			return err
		default: // nobody said anything: a broken line is quiet too
			asked, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(asked)
			cancel()
			if err != nil {
				return err
			}
		}
	}
}

// reconnect tries until it succeeds; nil when the listener is to end.
func (l *listener) reconnect(ctx context.Context) *pgx.Conn {
	for pause := reconnectPause; ; pause = min(2*pause, longestPause) {
		if conn, err := l.connect(ctx); err == nil {
			return conn
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_ = conn.Close(ctx) // it is of no more use in any case
}
