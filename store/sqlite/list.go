package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"postern/store"
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

// position is a record's place in a listing: the columns it is ordered by.
type position struct {
	table    string // a cursor of one list is refused by another
	at       int64  // microseconds, or the number that orders the records
	id, kind string
}

// readPage answers the listing: the page, and the cursor of the next.
func readPage[T any](ctx context.Context, db *sql.DB, l listing, page store.Page,
	scan func(row) (T, error), place func(T) position,
) ([]T, string, error) {
	if err := page.Validate(); err != nil {
		return nil, "", err
	}
	if page.After != "" {
		after, err := parseCursor(l.table, page.After)
		if err != nil {
			return nil, "", err
		}
		values := []any{after.at, after.id, after.kind}[:len(l.order)]
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
	last.table = l.table
	return records, formatCursor(last), nil
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

func formatCursor(p position) string {
	text := fmt.Sprintf("%s:%d:%x:%x", p.table, p.at, p.id, p.kind)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// parseCursor accepts exactly what formatCursor made for the table.
func parseCursor(table, cursor string) (position, error) {
	p, err := decodeCursor(cursor)
	if err != nil || p.table != table || formatCursor(p) != cursor {
		return position{}, fmt.Errorf("%w: the cursor is not of this list: use the one its last page gave", store.ErrInvalid)
	}
	return p, nil
}

func decodeCursor(cursor string) (position, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return position{}, err
	}
	parts := strings.Split(string(text), ":")
	if len(parts) != 4 {
		return position{}, fmt.Errorf("%d parts, want 4", len(parts))
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return position{}, err
	}
	id, err := hex.DecodeString(parts[2])
	if err != nil {
		return position{}, err
	}
	kind, err := hex.DecodeString(parts[3])
	return position{table: parts[0], at: at, id: string(id), kind: string(kind)}, err
}
