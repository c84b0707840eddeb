// Package sqlite keeps Postern's records in one SQLite file. It knows SQL and
// the driver, and lets neither out: its errors are the sentinels of package
// store, or say that the file could not be asked. It knows no cache, no
// transport and no rule of authorization.
//
// There is one connection for writing, whose transactions take the write lock
// when they begin, and a pool of connections that can only read. With the
// write-ahead log a reader never waits for the writer, and sees whatever was
// committed before it began.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"time"

	driver "modernc.org/sqlite"

	"postern/store"
	"postern/store/internal/feed"
)

// busyTimeout is how long a statement waits for a lock of another process.
const busyTimeout = 5 * time.Second

// Options says what to open.
type Options struct {
	// Path of the database's file; Migrate creates it.
	Path string
	// Clock dates audit events and changes, and whatever comes without a time.
	// Nil: the machine's.
	Clock func() time.Time
}

// Store is a store.Store in one SQLite file. It is safe for concurrent use, and
// several processes of one machine may open the same file; Wake tells only of
// the commits of its own process.
type Store struct {
	writes *prepared // one connection
	reads  *prepared
	debits debits
	clock  func() time.Time
	wakes  feed.Hub // of the change feed
	beats  feed.Hub // of the replicas
}

var _ store.Store = (*Store)(nil)

// Open opens a migrated database. It refuses one whose schema is older or newer
// than this build's, and never creates or changes one: see Migrate.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", o.Path, err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (*Store, error) {
	if err := checkSchema(ctx, o.Path); err != nil {
		return nil, err
	}
	writes, err := connect(o.Path, writer)
	if err != nil {
		return nil, err
	}
	reads, err := connect(o.Path, reader)
	if err != nil {
		return nil, errors.Join(err, writes.Close())
	}
	s := &Store{writes: newPrepared(writes), reads: newPrepared(reads), clock: o.Clock}
	if s.clock == nil {
		s.clock = time.Now //nolint:forbidigo // the default of what is injected
	}
	if err := writes.PingContext(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Ping implements store.Store by reading the file.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.LatestRevision(ctx)
	return failed(ctx, err, "ping")
}

// Close implements store.Store. The writer goes last, so that it folds the log
// into the file.
func (s *Store) Close() error {
	return errors.Join(s.reads.Close(), s.writes.Close())
}

// role is what a pool of connections is for.
type role int

const (
	reader role = iota
	writer
)

// connect prepares a pool; nothing is opened before its first use, and a
// missing file is never created.
func connect(path string, as role) (*sql.DB, error) {
	if path == "" {
		return nil, errors.New("path is empty: name the database's file")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	params := url.Values{
		"mode":          {"rw"},
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_dqs":          {"0"}, // a misspelt column is an error, not a string
		"_defensive":    {"1"},
	}
	connections := 1
	if as == writer {
		params.Set("_journal_mode", "WAL")
		params.Set("_synchronous", "FULL") // a commit survives the loss of power
		params.Set("_foreign_keys", "on")
		params.Set("_txlock", "immediate")
	} else {
		params.Set("_query_only", "on")
		connections = max(4, runtime.GOMAXPROCS(0))
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: params.Encode()}
	connector, err := driver.NewConnector(uri.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// now is the clock's time as the file keeps it.
func (s *Store) now() time.Time { return kept(s.clock()) }

// orNow fills in a time that the caller left out.
func (s *Store) orNow(t time.Time) time.Time {
	if t.IsZero() {
		return s.now()
	}
	return kept(t)
}
