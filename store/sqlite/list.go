package sqlite

import (
	"context"
	"database/sql"
	"strings"

	"postern/store"
	"postern/store/internal/cursor"
)

// listing is a question for a page of records.
type listing struct {
	columns, table string
	order          []string // the columns of a position, from the left
	conditions     []string
	args           []any
}

// where narrows the listing.
func (l *listing) where(condition string, args ...any) {
	l.conditions = append(l.conditions, condition)
	l.args = append(l.args, args...)
}

// equal narrows the listing to a column's value; an empty value matches all.
func (l *listing) equal(column, value string) {
	if value != "" {
		l.where(column+" = ?", value)
	}
}

// readPage answers the listing: the page, and the cursor of the next.
func readPage[T any](ctx context.Context, db querier, l listing, page store.Page,
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
		values := []any{after.At, after.ID, after.Kind}[:len(l.order)]
		l.where("("+strings.Join(l.order, ", ")+") > (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
	}
	query := "SELECT " + l.columns + " FROM " + l.table
	if len(l.conditions) > 0 {
		query += " WHERE " + strings.Join(l.conditions, " AND ")
	}
	query += " ORDER BY " + strings.Join(l.order, ", ") + " LIMIT ?"

	// One record more than asked for tells whether there is a next page.
	records, err := readAll(ctx, db, scan, query, append(l.args, page.Limit+1)...)
	if err != nil || len(records) <= page.Limit {
		return records, "", err
	}
	records = records[:page.Limit]
	last := place(records[page.Limit-1])
	last.List = l.table
	return records, cursor.Format(last), nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// readAll scans every row that the query finds.
func readAll[T any](ctx context.Context, db querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
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
