package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Postgres is a real PostgreSQL server on a port of loopback, which asks nobody
// for a password. It flushes what it commits, like one in production.
type Postgres struct {
	dir       string // holds data and postgres.log
	temporary bool
	port      int
	tools     postgresTools
	process   *Process // nil while it is stopped
}

// StartPostgres starts a server whose data is in dir, made where there is none;
// an empty dir is a temporary folder that Stop removes. PostgreSQL refuses to run
// as root: then it runs as the user postgres, who must be able to reach dir.
func StartPostgres(ctx context.Context, dir string) (*Postgres, error) {
	tools, err := findPostgres(ctx)
	if err != nil {
		return nil, err
	}
	p, err := newPostgres(tools, dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err != nil {
		// The locale is one whose order differs from that of the bytes, so that whoever
		// relies on either says so.
		err := tools.run(ctx, p.dir, "initdb", "--pgdata", p.data(), "--username", "postgres", "--auth", "trust",
			"--encoding", "UTF8", "--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US", "--no-sync")
		if err != nil {
			return nil, errors.Join(err, p.remove())
		}
	}
	if err := p.Start(ctx); err != nil {
		return nil, errors.Join(err, p.remove())
	}
	return p, nil
}

// StartStandby starts a copy of the server that follows it until Promote. From
// then on a commit of the first is acknowledged when the copy has it too, so
// stop the first before the copy.
func (p *Postgres) StartStandby(ctx context.Context) (*Postgres, error) {
	standby, err := newPostgres(p.tools, "")
	if err != nil {
		return nil, err
	}
	err = p.tools.run(ctx, standby.dir, "pg_basebackup", "--pgdata", standby.data(), "--write-recovery-conf",
		"--wal-method", "stream", "--checkpoint", "fast", "--no-sync",
		"--host", "127.0.0.1", "--port", strconv.Itoa(p.port), "--username", "postgres")
	if err == nil {
		err = standby.Start(ctx)
	}
	if err == nil {
		err = p.Exec(ctx, "postgres", `ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`)
	}
	if err != nil {
		return nil, errors.Join(err, standby.Stop())
	}
	return standby, nil
}

// Promote makes a standby a server of its own; it returns when it takes writes.
func (p *Postgres) Promote(ctx context.Context) error {
	return p.Exec(ctx, "postgres",
		`SELECT pg_promote(true, 30)`, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
}

// URL is the address of a database. Others are tried in their order where this
// server does not answer or only reads.
func (p *Postgres) URL(database string, others ...*Postgres) string {
	hosts := p.Address()
	for _, other := range others {
		hosts += "," + other.Address()
	}
	query := url.Values{"sslmode": {"disable"}}
	if len(others) > 0 {
		query.Set("target_session_attrs", "read-write")
	}
	return "postgres://postgres@" + hosts + "/" + url.PathEscape(database) + "?" + query.Encode()
}

// Address is host:port.
func (p *Postgres) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// CreateDatabase makes a database, as a copy of the template where one is named;
// nobody may be connected to that.
func (p *Postgres) CreateDatabase(ctx context.Context, name, template string) error {
	statement := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		statement += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	return p.Exec(ctx, "postgres", statement)
}

// EnsureDatabase makes a database unless it is there.
func (p *Postgres) EnsureDatabase(ctx context.Context, name string) error {
	const duplicateDatabase = "42P04"
	err := p.CreateDatabase(ctx, name, "")
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) && refused.Code == duplicateDatabase {
		return nil
	}
	return err
}

// DropDatabase removes a database and cuts off whoever is connected to it.
func (p *Postgres) DropDatabase(ctx context.Context, name string) error {
	return p.Exec(ctx, "postgres", "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// Exec runs statements in a database, one by one.
func (p *Postgres) Exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Start runs a stopped server again, on its port, and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := p.start(ctx)
		if err == nil {
			return nil
		}
		// The children of a server that was killed hold its memory for a moment.
		select {
		case <-ctx.Done():
			return fmt.Errorf("start postgres: %w", errors.Join(err, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *Postgres) start(ctx context.Context) error {
	process, err := Start(Command{
		Name: "postgres", Path: p.tools.path("postgres"),
		Args: []string{"-D", p.data(), "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=", "-c", "fsync=on", "-c", "shared_buffers=64MB", "-c", "max_connections=200"},
		Env: p.tools.environment(p.dir), Dir: p.dir, Log: filepath.Join(p.dir, "postgres.log"), Credential: p.tools.credential,
	})
	if err != nil {
		return err
	}
	for {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err == nil {
			p.process = process
			return conn.Close(ctx)
		}
		select {
		case <-process.Done():
			return process.Failure()
		case <-ctx.Done():
			process.Kill()
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Stop ends the server, cutting off whoever is connected, and removes a
// temporary folder.
func (p *Postgres) Stop() error {
	p.halt(syscall.SIGINT) // what pg_ctl calls a fast stop
	return p.remove()
}

// Restart stops the server in order and starts it again.
func (p *Postgres) Restart(ctx context.Context) error {
	p.halt(syscall.SIGINT)
	return p.Start(ctx)
}

// Kill ends the server as a crash would (kill -9); Start recovers it.
func (p *Postgres) Kill() { p.halt(syscall.SIGKILL) }

func (p *Postgres) halt(with syscall.Signal) {
	if p.process == nil {
		return
	}
	p.process.signal(with)
	select {
	case <-p.process.Done():
	case <-time.After(20 * time.Second):
		p.process.Kill()
	}
	p.process = nil
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

func (p *Postgres) remove() error {
	if !p.temporary {
		return nil
	}
	return os.RemoveAll(p.dir)
}

func newPostgres(tools postgresTools, dir string) (*Postgres, error) {
	p := &Postgres{dir: dir, temporary: dir == "", tools: tools}
	var err error
	if p.temporary {
		p.dir, err = os.MkdirTemp("", "postgres-")
	} else if err = os.MkdirAll(dir, 0o755); err == nil {
		p.dir, err = filepath.Abs(dir)
	}
	if err == nil && tools.credential != nil {
		err = os.Chown(p.dir, int(tools.credential.Uid), int(tools.credential.Gid))
	}
	if err == nil {
		p.port, err = FreePort()
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	return p, nil
}
