package authz

import "strings"

// maxPath bounds the path, in bytes, without the query.
const maxPath = 8 << 10

// methods are the ones a decision knows; every other is refused.
func knownMethod(method string) bool {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return true
	}
	return false
}

// splitPath separates the query and refuses every path that Postern and an
// upstream might read differently. It never rewrites: what is not refused is
// matched, and reaches the upstream, as it stands.
func splitPath(target string) (path, query string, ok bool) {
	path = target
	if i := strings.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i+1:]
	}
	return path, query, cleanPath(path)
}

func cleanPath(path string) bool {
	if len(path) == 0 || len(path) > maxPath || path[0] != '/' {
		return false
	}
	segment := 1 // where the segment under the loop began
	for i := 1; i < len(path); i++ {
		switch c := path[i]; {
		case c == '/':
			if i == segment || isDots(path[segment:i]) { // "//", "/./", "/../"
				return false
			}
			segment = i + 1
		case c == '%':
			if i+2 >= len(path) || !harmlessEscape(path[i+1], path[i+2]) {
				return false
			}
			i += 2
		case !pathByte(c):
			return false
		}
	}
	return !isDots(path[segment:])
}

func isDots(segment string) bool { return segment == "." || segment == ".." }

// pathByte reports whether a byte may stand in a path as it is: visible ASCII
// without what parsers disagree on.
func pathByte(c byte) bool {
	if c <= ' ' || c > '~' {
		return false
	}
	switch c {
	case '#', '\\', ';', '!', '?', '%':
		return false
	}
	return true
}

// harmlessEscape reports whether %hl is well formed and stands for a byte that
// changes no parser's idea of the path's structure.
func harmlessEscape(h, l byte) bool {
	high, ok1 := unhex(h)
	low, ok2 := unhex(l)
	if !ok1 || !ok2 {
		return false
	}
	switch c := high<<4 | low; c {
	case '/', '\\', '%', '.', ';', '?', '#':
		return false
	default:
		return c > ' ' && c <= '~'
	}
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
