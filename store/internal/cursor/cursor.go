// Package cursor is the form of a list's cursors: the place of a page's last
// record. It knows no database.
package cursor

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"postern/store"
)

// Position is a record's place in a list: what the list is ordered by.
type Position struct {
	List     string // a cursor of one list is refused by another
	At       int64  // microseconds since 1970, or the number that orders the records
	ID, Kind string
}

// Format is the position as a cursor.
func Format(p Position) string {
	text := fmt.Sprintf("%s:%d:%x:%x", p.List, p.At, p.ID, p.Kind)
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// Parse accepts exactly what Format made for the list: else ErrInvalid.
func Parse(list, cursor string) (Position, error) {
	p, err := decode(cursor)
	if err != nil || p.List != list || Format(p) != cursor {
		return Position{}, fmt.Errorf("%w: the cursor is not of this list: use the one its last page gave", store.ErrInvalid)
	}
	return p, nil
}

func decode(cursor string) (Position, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return Position{}, err
	}
	parts := strings.Split(string(text), ":")
	if len(parts) != 4 {
		return Position{}, fmt.Errorf("%d parts, want 4", len(parts))
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return Position{}, err
	}
	id, err := hex.DecodeString(parts[2])
	if err != nil {
		return Position{}, err
	}
	kind, err := hex.DecodeString(parts[3])
	return Position{List: parts[0], At: at, ID: string(id), Kind: string(kind)}, err
}
