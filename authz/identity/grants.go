package identity

import (
	"encoding/json"
	"iter"
	"strings"
)

// MaxGrants and MaxGrantLength bound what one credential may carry, so that the
// header made of them stays far below Envoy's limits.
const (
	MaxGrants      = 64
	MaxGrantLength = 64
)

// Grants is an ordered set of permissions or roles: immutable, comparable, and kept
// as the text of the header, so that neither a request nor a cache builds it.
type Grants struct {
	joined string
}

// NewGrants makes a set of the given names, in order, dropping repeats. No name has
// a comma: whoever takes names from outside refuses it, and here it is dropped.
func NewGrants(names ...string) Grants {
	list := make([]string, 0, len(names))
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name == "" || seen[name] || strings.Contains(name, ",") {
			continue
		}
		seen[name] = true
		list = append(list, name)
	}
	return Grants{joined: strings.Join(list, ",")}
}

// GrantsOf reads the text that String returns.
func GrantsOf(joined string) Grants { return Grants{joined: joined} }

// List is the names in order; nil for none.
func (g Grants) List() []string {
	if g.joined == "" {
		return nil
	}
	return strings.Split(g.joined, ",")
}

// All is the names in order, one after the other.
func (g Grants) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := g.joined; rest != ""; {
			var name string
			if name, rest, _ = strings.Cut(rest, ","); !yield(name) {
				return
			}
		}
	}
}

// Has reports whether the name is in the set, byte for byte.
func (g Grants) Has(name string) bool {
	for have := range g.All() {
		if have == name {
			return true
		}
	}
	return false
}

// String is the names joined by commas: the form of the x-permissions header.
func (g Grants) String() string { return g.joined }

// MarshalJSON writes the names as an array.
func (g Grants) MarshalJSON() ([]byte, error) {
	if g.joined == "" {
		return []byte("[]"), nil
	}
	return json.Marshal(g.List())
}

// UnmarshalJSON reads an array of names.
func (g *Grants) UnmarshalJSON(text []byte) error {
	var names []string
	if err := json.Unmarshal(text, &names); err != nil {
		return err
	}
	*g = NewGrants(names...)
	return nil
}
