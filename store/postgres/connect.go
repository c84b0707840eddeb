package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"postern/authz/identity"
)

const (
	// callTimeout bounds every call from here, should the server not answer at all.
	callTimeout = 5 * time.Second
	// connectTimeout bounds the attempt at one host.
	connectTimeout = 2 * time.Second

	requestConns  = 16
	mutationConns = 4
)

// sessionDefaults are the settings of a connection that the URL does not give. The
// server keeps the bounds, should this process be gone or stopped: one that holds
// the mutations' lock and says nothing is cut off.
var sessionDefaults = map[string]string{
	"application_name":                    "postern",
	"timezone":                            "UTC",
	"statement_timeout":                   "2s",
	"lock_timeout":                        "1500ms",
	"idle_in_transaction_session_timeout": "5s",
	// Debits and the feed rely on what this level sees after waiting for a lock.
	"default_transaction_isolation": "read committed",
}

// configure reads the URL. Its error never repeats it: it may hold a password.
func configure(url identity.Secret, maxConns int) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errors.New("the URL is not one that PostgreSQL's clients take: " +
			"use postgres://user@host:5432/database?sslmode=verify-full, and see that the files it names are there")
	}
	switch {
	case maxConns > 0:
		config.MaxConns = int32(min(maxConns, 1000))
	case !strings.Contains(url.Reveal(), "pool_max_conns="):
		config.MaxConns = requestConns
	}
	// After a failover no connection may stay for long with the server that was.
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = 5*time.Minute, time.Minute
	config.MaxConnIdleTime = time.Minute
	config.HealthCheckPeriod = 5 * time.Second
	config.PingTimeout = time.Second
	config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range sessionDefaults {
		if _, given := config.ConnConfig.RuntimeParams[name]; !given {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// ask runs a question, and once more where the connection was lost: asking twice
// does no harm.
func ask[T any](ctx context.Context, s *Store, run func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := run(ctx)
	if s.lost(err) && ctx.Err() == nil {
		answer, err = run(ctx)
	}
	return answer, err
}

// lost reports whether the connection broke or its server takes no writes any
// more. Then the other connections are no better: new ones find the new server.
func (s *Store) lost(err error) bool {
	if !connectionLost(err) {
		return false
	}
	s.requests.Reset()
	s.mutations.Reset()
	return true
}

func connectionLost(err error) bool {
	var refused *pgconn.PgError
	var unreachable *pgconn.ConnectError
	var broken *net.OpError
	switch {
	case err == nil, errors.Is(err, pgx.ErrNoRows), errors.As(err, &unreachable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.As(err, &refused):
		switch refused.Code {
		case "25006", // read_only_sql_transaction
			"57P01", "57P02", "57P03": // admin_shutdown, crash_shutdown, cannot_connect_now
			return true
		}
		return strings.HasPrefix(refused.Code, "08") // connection_exception
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.As(err, &broken)
}
