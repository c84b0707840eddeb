package profile

import (
	"fmt"
	"strings"
)

type segmentKind uint8

const (
	literalSegment segmentKind = iota
	variableSegment
	restSegment // {name...}: one or more segments, the last of a pattern
)

type segment struct {
	kind segmentKind
	text string // the literal, or the variable's name
}

// pattern is a route's method and path template.
type pattern struct {
	method   string // empty: all
	segments []segment
	slash    bool // it is written with a trailing slash
}

// parsePattern reads "[METHOD ]/path/{variable}/{rest...}".
func parsePattern(text string) (pattern, error) {
	var p pattern
	path := text
	if method, rest, found := strings.Cut(text, " "); found {
		if methodIndex(method) == otherMethod {
			return p, fmt.Errorf("has the unknown method %q; use one of %s", method, strings.Join(methodNames[:], ", "))
		}
		p.method, path = method, rest
	}
	if !strings.HasPrefix(path, "/") {
		return p, fmt.Errorf("must be a path that begins with /, after at most one method and one blank")
	}
	path = path[1:]
	if path == "" {
		p.slash = true
		return p, nil
	}
	if p.slash = strings.HasSuffix(path, "/"); p.slash {
		path = path[:len(path)-1]
	}
	return p, p.parseSegments(path)
}

func (p *pattern) parseSegments(path string) error {
	seen := map[string]bool{}
	for _, text := range strings.Split(path, "/") {
		if n := len(p.segments); n > 0 && p.segments[n-1].kind == restSegment {
			return fmt.Errorf("has something after {%s...}; it must be the last", p.segments[n-1].text)
		}
		s, err := parseSegment(text)
		if err != nil {
			return err
		}
		if s.kind != literalSegment {
			if seen[s.text] {
				return fmt.Errorf("has the variable %q twice; name them apart", s.text)
			}
			if seen[s.text] = true; len(seen) > MaxVars {
				return fmt.Errorf("has more than %d variables; use {rest...} for the tail", MaxVars)
			}
		}
		p.segments = append(p.segments, s)
	}
	if p.slash && p.segments[len(p.segments)-1].kind == restSegment {
		return fmt.Errorf("has a slash after the last variable, which matches it anyway; remove the slash")
	}
	return nil
}

func parseSegment(text string) (segment, error) {
	if strings.HasPrefix(text, "{") && strings.HasSuffix(text, "}") {
		name, rest := strings.CutSuffix(text[1:len(text)-1], "...")
		if !isVariableName(name) {
			return segment{}, fmt.Errorf("has the variable name %q; use lower-case letters, digits and _", name)
		}
		if rest {
			return segment{restSegment, name}, nil
		}
		return segment{variableSegment, name}, nil
	}
	switch {
	case text == "":
		return segment{}, fmt.Errorf("has an empty segment; write single slashes")
	case text == "." || text == "..":
		return segment{}, fmt.Errorf("has the segment %q, which no request may have; remove it", text)
	case !all(text, func(b byte) bool { return isVariableByte(b) || b == '.' }):
		return segment{}, fmt.Errorf("has the segment %q; a literal holds letters, digits, '.', '_' and '-', and a variable is a whole segment", text)
	}
	return segment{literalSegment, text}, nil
}

func (p *pattern) hasVariable(name string) bool {
	for _, s := range p.segments {
		if s.kind == variableSegment && s.text == name {
			return true
		}
	}
	return false
}

func (p *pattern) endsWithRest() bool {
	n := len(p.segments)
	return n > 0 && p.segments[n-1].kind == restSegment
}

// relation is how the requests of two patterns lie to each other.
type relation uint8

const (
	disjoint relation = iota
	equal
	narrower // the first is a part of the second
	wider    // the second is a part of the first
	crossing // they overlap, and neither is a part of the other
)

// relate compares the paths of two patterns, whatever their trailing slashes.
func relate(a, b []segment) relation {
	aNarrower, bNarrower := false, false
	for i := 0; ; i++ {
		if i == len(a) || i == len(b) {
			if len(a) != len(b) {
				return disjoint
			}
			break
		}
		x, y := a[i], b[i]
		if x.kind == literalSegment && y.kind == literalSegment && x.text != y.text {
			return disjoint
		}
		aNarrower = aNarrower || x.kind < y.kind
		bNarrower = bNarrower || y.kind < x.kind
		if x.kind == restSegment || y.kind == restSegment {
			break
		}
	}
	switch {
	case aNarrower && bNarrower:
		return crossing
	case aNarrower:
		return narrower
	case bNarrower:
		return wider
	}
	return equal
}

// conflict reports whether some request would match both routes without one of
// them being the more specific.
func conflict(a, b *Route) bool {
	if a.methods()&b.methods() == 0 {
		return false
	}
	paths := relate(a.pattern.segments, b.pattern.segments)
	oneSlash := a.oneEnd() && b.oneEnd() && a.pattern.slash != b.pattern.slash
	switch paths {
	case disjoint:
		return false
	case equal:
		// Written with and without a slash, each has its own; the twin yields.
		return a.pattern.slash == b.pattern.slash && a.methods() == b.methods()
	case narrower:
		return !oneSlash && a.methods()&^b.methods() != 0
	case wider:
		return !oneSlash && b.methods()&^a.methods() != 0
	}
	return !oneSlash
}

// oneEnd reports whether the route matches with the trailing slash it is written
// with (or without) only. Any other route also claims its twin.
func (r *Route) oneEnd() bool { return r.Public && !r.pattern.endsWithRest() }

// methods is the set of methods the route serves, as bits.
func (r *Route) methods() uint {
	switch r.Method {
	case "":
		return 1<<methodCount - 1
	case "GET":
		return 1<<methodIndex("GET") | 1<<methodIndex("HEAD")
	}
	return 1 << methodIndex(r.Method)
}

func isVariableName(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9') && all(name, func(b byte) bool {
		return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '_'
	})
}

func all(text string, allowed func(byte) bool) bool {
	for i := 0; i < len(text); i++ {
		if !allowed(text[i]) {
			return false
		}
	}
	return true
}
