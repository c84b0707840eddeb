package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/store"
	"postern/store/internal/cursor"
)

// listing is a question for a page of records.
type listing struct {
	columns, table string
	order          []string // the columns of a position, from the left
	byTime         bool     // the first of them is a time, else a number
	conditions     []string
	args           []any
}

// where narrows the listing; a ? stands for each argument.
func (l *listing) where(condition string, args ...any) {
	for _, arg := range args {
		l.args = append(l.args, arg)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(l.args)), 1)
	}
	l.conditions = append(l.conditions, condition)
}

// equal narrows the listing to a column's value; an empty value matches all.
func (l *listing) equal(column, value string) {
	if value != "" {
		l.where(column+" = ?", value)
	}
}

// after narrows the listing to what follows the position.
func (l *listing) after(p cursor.Position) {
	values := []any{p.At, p.ID, p.Kind}[:len(l.order)]
	if l.byTime {
		values[0] = time.UnixMicro(p.At).UTC()
	}
	l.where("("+strings.Join(l.order, ", ")+") > (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
}

// query is the listing's text for at most that many records.
func (l *listing) query(limit int) string {
	query := "SELECT " + l.columns + " FROM " + l.table
	if len(l.conditions) > 0 {
		query += " WHERE " + strings.Join(l.conditions, " AND ")
	}
	l.args = append(l.args, limit)
	return query + " ORDER BY " + strings.Join(l.order, ", ") + fmt.Sprintf(" LIMIT $%d", len(l.args))
}

// readPage answers the listing: the page, and the cursor of the next.
func readPage[T any](ctx context.Context, s *Store, l listing, page store.Page,
	scan func(row) (T, error), place func(T) cursor.Position,
) ([]T, string, error) {
	if err := page.Validate(); err != nil {
		return nil, "", err
	}
	if page.After != "" {
		after, err := cursor.Parse(l.table, page.After)
		if err != nil {
			return nil, "", err
		}
		l.after(after)
	}
	// One record more than asked for tells whether there is a next page.
	records, err := findAll(ctx, s, scan, l.query(page.Limit+1), l.args...)
	if err != nil || len(records) <= page.Limit {
		return records, "", err
	}
	records = records[:page.Limit]
	last := place(records[page.Limit-1])
	last.List = l.table
	return records, cursor.Format(last), nil
}

// find scans the one row that the query finds.
func find[T any](ctx context.Context, s *Store, scan func(row) (T, error), query string, args ...any) (T, error) {
	return ask(ctx, s, func(ctx context.Context) (T, error) { return scan(s.requests.QueryRow(ctx, query, args...)) })
}

// findAll scans every row that the query finds.
func findAll[T any](ctx context.Context, s *Store, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	return ask(ctx, s, func(ctx context.Context) ([]T, error) { return readAll(ctx, s.requests, scan, query, args...) })
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}

func readAll[T any](ctx context.Context, db querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	records, err := scanAll(rows, scan)
	if isNoText(err) {
		return nil, nil
	}
	return records, err
}

func scanAll[T any](rows pgx.Rows, scan func(row) (T, error)) ([]T, error) {
	defer rows.Close()
	var records []T
	for rows.Next() {
		record, err := scan(rows)
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, rows.Err()
}
