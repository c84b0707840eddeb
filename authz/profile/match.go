package profile

import "strings"

// The methods a route can name, and one index for all others.
const (
	otherMethod = 7
	methodCount = otherMethod + 1
)

var methodNames = [otherMethod]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func methodIndex(method string) int {
	for i := range methodNames {
		if methodNames[i] == method {
			return i
		}
	}
	return otherMethod
}

// MaxVars bounds the variables of one pattern, MaxVarLength their values.
const (
	MaxVars      = 8
	MaxVarLength = 64
)

// Vars are the variables of a matched path. The values are views of the path.
type Vars struct {
	count  int
	names  [MaxVars]string
	values [MaxVars]string
}

// Get returns the value of a variable of the matched pattern.
func (v *Vars) Get(name string) (string, bool) {
	for i := range v.count {
		if v.names[i] == name {
			return v.values[i], true
		}
	}
	return "", false
}

// Match finds the route of a request: the most specific pattern that matches, or
// the fallback route, which is never public. The path is what precedes the "?",
// and has been through the path gate. Match is not ok, and the request must be
// refused, when
//   - decoding %XX, folding case or dropping dots at a segment's end would choose
//     another route, because the upstream may do any of them,
//   - a variable is longer than MaxVarLength or has bytes outside [A-Za-z0-9_-],
//   - the path of a public route has a %XX.
//
// A nil vars is allowed. Match does not allocate.
func (p *Profile) Match(method, path string, vars *Vars) (*Route, bool) {
	if vars != nil {
		vars.count = 0
	}
	if path == "" || path[0] != '/' {
		return nil, false
	}
	index := methodIndex(method)
	route := p.router.find(path[1:], index, view{})
	escaped, folds := scan(path)
	readings := [...]view{{fold: true}, {decode: true}, {fold: true, decode: true}}
	others := readings[:0]
	if escaped {
		others = readings[:]
	} else if folds || p.router.hasUpper {
		others = readings[:1]
	}
	for _, v := range others {
		if p.router.find(path[1:], index, v) != route {
			return nil, false
		}
	}
	if route == nil {
		return p.fallback, true
	}
	if route.Public && escaped || !route.bind(path[1:], vars) {
		return nil, false
	}
	return route, true
}

// scan reports what gives a path another reading: an escape; or a capital, or a
// dot at a segment's end.
func scan(path string) (escaped, folds bool) {
	for i := 0; i < len(path); i++ {
		switch b := path[i]; {
		case b == '%':
			escaped = true
		case 'A' <= b && b <= 'Z', b == '.' && (i+1 == len(path) || path[i+1] == '/'):
			folds = true
		}
	}
	return escaped, folds
}

// router finds a route by the segments of a path.
type router struct {
	node
	hasUpper bool // some literal has an upper-case letter
}

// node is a position in the tree of patterns.
type node struct {
	// literals are found by their text: one each.
	literals map[string][]*node
	// folded are the same in lower case and without dots at the end: some may meet.
	folded   map[string][]*node
	variable *node
	rest     *ends
	// ends are the routes of a path that stops here, without and with a slash.
	ends [2]ends
}

type ends [methodCount]*Route

// find looks for the most specific route: at each segment a literal goes before a
// variable, and a variable before a rest. Patterns that cross are refused at load,
// so the first route found is the most specific one.
func (n *node) find(path string, method int, v view) *Route {
	if path == "" {
		return n.ends[1][method]
	}
	text, tail, more := strings.Cut(path, "/")
	if text == "" {
		return nil
	}
	for _, literal := range n.read(text, v) {
		if r := literal.step(tail, more, method, v); r != nil {
			return r
		}
	}
	if n.variable != nil {
		if r := n.variable.step(tail, more, method, v); r != nil {
			return r
		}
	}
	if n.rest != nil {
		return n.rest[method]
	}
	return nil
}

func (n *node) step(tail string, more bool, method int, v view) *Route {
	if more {
		return n.find(tail, method, v)
	}
	return n.ends[0][method]
}

// view is a way to read a path that an upstream may have.
type view struct{ fold, decode bool }

// longLiteral has room in find without an allocation.
const longLiteral = 128

// read finds the literals that a segment is when it is read this way.
func (n *node) read(segment string, v view) []*node {
	if v == (view{}) {
		return n.literals[segment]
	}
	var room [longLiteral]byte
	text := room[:0]
	if v.fold {
		segment = strings.TrimRight(segment, ".")
	}
	for i := 0; i < len(segment); i++ {
		b := segment[i]
		if v.decode && b == '%' && i+2 < len(segment) {
			b = unhex(segment[i+1])<<4 | unhex(segment[i+2])
			i += 2
		}
		if v.fold {
			b = lower(b)
		}
		text = append(text, b)
	}
	if v.fold {
		return n.folded[string(text)]
	}
	return n.literals[string(text)]
}

// fold is a literal as an upstream reads it that folds case and drops dots.
func fold(literal string) string { return strings.ToLower(strings.TrimRight(literal, ".")) }

// unhex is the value of a hexadecimal digit; the path gate has refused others.
func unhex(b byte) byte {
	if '0' <= b && b <= '9' {
		return b - '0'
	}
	return lower(b) - 'a' + 10
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

// bind notes the variables of a matched path, and reports whether they are sound.
func (r *Route) bind(path string, vars *Vars) bool {
	for _, s := range r.pattern.segments {
		text, tail, _ := strings.Cut(path, "/")
		switch s.kind {
		case variableSegment:
			if len(text) > MaxVarLength || !all(text, isVariableByte) {
				return false
			}
		case restSegment:
			text = path
		}
		if s.kind != literalSegment && vars != nil {
			vars.names[vars.count], vars.values[vars.count] = s.text, text
			vars.count++
		}
		path = tail
	}
	return true
}

func isVariableByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '-'
}
