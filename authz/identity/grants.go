package identity

import (
	"encoding/json"
	"strings"
)

// MaxGrants and MaxGrantLength bound what one credential may carry, so that the
// header made of them stays far below Envoy's limits.
const (
	MaxGrants      = 64
	MaxGrantLength = 64
)

// Grants is an ordered set of permissions or roles. It is immutable, and keeps
// its joined form so that a request does not build it.
type Grants struct {
	list   []string
	joined string
}

// NewGrants makes a set of the given names, in order, dropping repeats.
func NewGrants(names ...string) Grants {
	list := make([]string, 0, len(names))
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		list = append(list, name)
	}
	return Grants{list: list, joined: strings.Join(list, ",")}
}

// List is the names in order; the caller must not change it.
func (g Grants) List() []string { return g.list }

// Has reports whether the name is in the set, byte for byte.
func (g Grants) Has(name string) bool {
	for _, have := range g.list {
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
	if g.list == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(g.list)
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
