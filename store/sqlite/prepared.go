package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// prepared is a pool whose queries for one row are parsed once for each connection:
// to parse one takes SQLite longer than to look a key up. There are some twenty of
// them. Queries for several rows are not kept, because a list's text depends on what
// is asked for.
type prepared struct {
	*sql.DB
	mu         sync.RWMutex
	statements map[string]*sql.Stmt
}

func newPrepared(db *sql.DB) *prepared {
	return &prepared{DB: db, statements: map[string]*sql.Stmt{}}
}

// statement returns the query's, and nil where it cannot be made.
func (p *prepared) statement(ctx context.Context, query string) *sql.Stmt {
	if kept := p.known(query); kept != nil { //nolint:sqlclosecheck // it is closed with the pool
		return kept
	}
	made, err := p.PrepareContext(ctx, query)
	if err != nil {
		return nil // the query itself will say why
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if kept := p.statements[query]; kept != nil { // somebody was quicker
		defer func() { _ = made.Close() }()
		return kept
	}
	p.statements[query] = made
	return made
}

// known returns the query's, if it was made before.
func (p *prepared) known(query string) *sql.Stmt {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.statements[query]
}

// QueryRowContext hides that of the pool.
func (p *prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if kept := p.statement(ctx, query); kept != nil { //nolint:sqlclosecheck // it is closed with the pool
		return kept.QueryRowContext(ctx, args...)
	}
	return p.DB.QueryRowContext(ctx, query, args...)
}

// Close closes the statements and the pool.
func (p *prepared) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all error
	for query, kept := range p.statements {
		all = errors.Join(all, kept.Close())
		delete(p.statements, query)
	}
	return errors.Join(all, p.DB.Close())
}

// transaction is an open write transaction. There is one connection for writing, so
// what is not parsed yet is remembered and parsed for the next one, after its end.
type transaction struct {
	*sql.Tx
	pool *prepared
	late []string
}

// QueryRowContext hides that of the transaction.
func (tx *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if kept := tx.pool.known(query); kept != nil { //nolint:sqlclosecheck // it is closed with the pool
		return tx.StmtContext(ctx, kept).QueryRowContext(ctx, args...) //nolint:sqlclosecheck // with the transaction
	}
	tx.late = append(tx.late, query)
	return tx.Tx.QueryRowContext(ctx, query, args...)
}

// ended parses what the transaction had to do without.
func (tx *transaction) ended(ctx context.Context) {
	for _, query := range tx.late {
		tx.pool.statement(ctx, query) //nolint:sqlclosecheck // it is closed with the pool
	}
}
