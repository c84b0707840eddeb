package profile

import "strings"

// newRouter builds the tree of the routes, which must not conflict.
func newRouter(routes []*Route) *router {
	r := &router{}
	written := map[*ends][]*Route{}
	twins := map[*ends][]*Route{}
	for _, route := range routes {
		r.insert(route, written, twins)
	}
	for at, routes := range written {
		at.settle(routes)
	}
	// The twin with (or without) the trailing slash yields to what is written.
	for at, routes := range twins {
		var claimed ends
		claimed.settle(routes)
		for m := range at {
			if at[m] == nil {
				at[m] = claimed[m]
			}
		}
	}
	return r
}

func (r *router) insert(route *Route, written, twins map[*ends][]*Route) {
	n := &r.node
	for _, s := range route.pattern.segments {
		switch s.kind {
		case literalSegment:
			r.hasUpper = r.hasUpper || strings.ToLower(s.text) != s.text
			n = n.literal(s.text)
		case variableSegment:
			if n.variable == nil {
				n.variable = &node{}
			}
			n = n.variable
		case restSegment:
			if n.rest == nil {
				n.rest = &ends{}
			}
			written[n.rest] = append(written[n.rest], route)
			return
		}
	}
	own, twin := &n.ends[0], &n.ends[1]
	if route.pattern.slash {
		own, twin = twin, own
	}
	written[own] = append(written[own], route)
	if !route.oneEnd() {
		twins[twin] = append(twins[twin], route)
	}
}

func (n *node) literal(text string) *node {
	if same := n.literals[text]; len(same) > 0 {
		return same[0]
	}
	if n.literals == nil {
		n.literals, n.folded = map[string][]*node{}, map[string][]*node{}
	}
	child := &node{}
	n.literals[text] = []*node{child}
	n.folded[fold(text)] = append(n.folded[fold(text)], child)
	return child
}

// settle gives each method the route that is most specific about it.
func (e *ends) settle(routes []*Route) {
	for m := range e {
		for _, route := range routes {
			serves := route.methods()&(1<<m) != 0
			if serves && (e[m] == nil || route.methods()&^e[m].methods() == 0) {
				e[m] = route
			}
		}
	}
}

// foldedSibling finds two literals at one position that differ in nothing but
// case: an upstream that folds case could not tell them apart.
func foldedSibling(routes []*Route, route *Route) *Route {
	for _, other := range routes {
		for i, s := range route.pattern.segments {
			if i >= len(other.pattern.segments) || s.kind != other.pattern.segments[i].kind {
				break
			}
			if s.kind != literalSegment {
				continue
			}
			text := other.pattern.segments[i].text
			if s.text == text {
				continue
			}
			if strings.EqualFold(s.text, text) {
				return other
			}
			break
		}
	}
	return nil
}
