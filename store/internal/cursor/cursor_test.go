package cursor

import (
	"strings"
	"testing"

	"postern/store"
)

func FuzzACursorIsTakenOnlyAsItWasGiven(f *testing.F) {
	f.Add(Format(Position{List: "api_keys", At: -5, ID: "key:1", Kind: "\x00\xff"}))
	f.Add("YXBpX2tleXM6MDE6Og")
	f.Add("")
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := Parse("api_keys", cursor)
		if err == nil && Format(p) != cursor {
			t.Errorf("cursor %q was taken for %q", cursor, Format(p))
		}
		if err != nil && !strings.Contains(err.Error(), store.ErrInvalid.Error()) {
			t.Errorf("error is %v, want ErrInvalid", err)
		}
	})
}

func TestACursorKeepsItsPosition(t *testing.T) {
	for _, want := range []Position{
		{List: "resources", At: 1_900_000_000_000_000, ID: "id", Kind: "project"},
		{List: "api_keys", At: -1, ID: "a:b/c\x00é\xff"},
		{List: "credit_ledger", At: 7},
	} {
		if got, err := Parse(want.List, Format(want)); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}
