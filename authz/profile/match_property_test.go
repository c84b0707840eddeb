package profile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/authz/profile"
)

// The reference below reads the rules of docs/profiles.md the slow way: it looks
// at every route for every request of a small world, and calls a route narrower
// when the paths it matches in that world are fewer.

type request struct {
	method   string
	segments []string
	slash    bool
}

func (r request) path() string {
	path := "/" + strings.Join(r.segments, "/")
	if r.slash {
		path += "/"
	}
	return path
}

type refRoute struct {
	text     string
	method   string
	segments []string
	slash    bool
	public   bool
}

func (r refRoute) rest() bool { return strings.HasSuffix(r.segments[len(r.segments)-1], "...}") }

func (r refRoute) matchesSegments(path []string) bool {
	for i, s := range r.segments {
		switch {
		case strings.HasSuffix(s, "...}"):
			return len(path) > i
		case i >= len(path), s[0] != '{' && s != path[i]:
			return false
		}
	}
	return len(path) == len(r.segments)
}

func (r refRoute) matchesMethod(method string) bool {
	return r.method == "" || r.method == method || r.method == "GET" && method == "HEAD"
}

func (r refRoute) written(q request) bool { return r.rest() || r.slash == q.slash }

func (r refRoute) claims(q request) bool {
	return r.matchesSegments(q.segments) && r.matchesMethod(q.method) && (r.written(q) || !r.public)
}

var (
	worldMethods  = []string{"GET", "HEAD", "POST", "DELETE"}
	worldSegments = paths(4)
)

func paths(depth int) [][]string {
	if depth == 0 {
		return nil
	}
	all := [][]string{{"a"}, {"b"}, {"z"}}
	for _, tail := range paths(depth - 1) {
		for _, head := range []string{"a", "b", "z"} {
			all = append(all, append([]string{head}, tail...))
		}
	}
	return all
}

// within reports whether all a has, b has too.
func within[T any](world []T, a, b func(T) bool) bool {
	return !slices.ContainsFunc(world, func(x T) bool { return a(x) && !b(x) })
}

// beats reports whether the reference takes a before b for a request both claim.
func beats(a, b refRoute, q request) bool {
	aIn := within(worldSegments, a.matchesSegments, b.matchesSegments)
	bIn := within(worldSegments, b.matchesSegments, a.matchesSegments)
	if aIn != bIn {
		return aIn
	}
	if a.written(q) != b.written(q) {
		return a.written(q)
	}
	return within(worldMethods, a.matchesMethod, b.matchesMethod)
}

// clash reports whether some request is claimed by both, and neither is narrower.
func clash(a, b refRoute) bool {
	pathsIn := within(worldSegments, a.matchesSegments, b.matchesSegments)
	pathsOver := within(worldSegments, b.matchesSegments, a.matchesSegments)
	methodsIn := within(worldMethods, a.matchesMethod, b.matchesMethod)
	methodsOver := within(worldMethods, b.matchesMethod, a.matchesMethod)
	ordered := pathsIn && methodsIn || pathsOver && methodsOver
	same := pathsIn && pathsOver && methodsIn && methodsOver
	if pathsIn && pathsOver && a.slash != b.slash {
		return false // each has the path it is written as
	}
	if ordered && !same {
		return false
	}
	return slices.ContainsFunc(world(), func(q request) bool { return a.claims(q) && b.claims(q) })
}

func world() []request {
	var all []request
	for _, method := range worldMethods {
		for _, segments := range worldSegments {
			all = append(all, request{method, segments, false}, request{method, segments, true})
		}
	}
	return all
}

func drawRoute(t *rapid.T) refRoute {
	r := refRoute{
		method: rapid.SampledFrom([]string{"", "", "GET", "HEAD", "POST"}).Draw(t, "method"),
		public: rapid.Bool().Draw(t, "public"),
	}
	depth := rapid.IntRange(1, 3).Draw(t, "depth")
	for i := range depth {
		choices := []string{"a", "b", fmt.Sprintf("{v%d}", i)}
		if i == 0 && r.public {
			choices = choices[:2]
		}
		if i == depth-1 && !(i == 0 && r.public) {
			choices = append(choices, "{rest...}")
		}
		r.segments = append(r.segments, rapid.SampledFrom(choices).Draw(t, "segment"))
	}
	r.slash = !r.rest() && rapid.IntRange(0, 3).Draw(t, "slash") == 0
	r.text = strings.TrimLeft(r.method+" "+request{segments: r.segments, slash: r.slash}.path(), " ")
	return r
}

func loadRoutes(file string, routes []refRoute) (*profile.Profile, error) {
	var b strings.Builder
	b.WriteString(minimal + "routes:\n")
	for _, r := range routes {
		fmt.Fprintf(&b, "  - { route: %q, public: %v }\n", r.text, r.public)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return nil, err
	}
	set, err := profile.Load(false, file)
	if err != nil {
		return nil, err
	}
	return set.ByName("api"), nil
}

func TestMatchIsWhatANaiveReferenceFinds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.yaml")
	rapid.Check(t, func(t *rapid.T) {
		var routes []refRoute
		for range rapid.IntRange(1, 6).Draw(t, "routes") {
			r := drawRoute(t)
			if !slices.ContainsFunc(routes, func(o refRoute) bool { return clash(r, o) }) {
				routes = append(routes, r)
			}
		}
		p, err := loadRoutes(file, routes)
		if err != nil {
			t.Fatalf("the reference finds no conflict: %v", err)
		}
		for _, q := range world() {
			want := ""
			var best *refRoute
			for i := range routes {
				if routes[i].claims(q) && (best == nil || beats(routes[i], *best, q)) {
					best, want = &routes[i], routes[i].text
				}
			}
			got, ok := p.Match(q.method, q.path(), nil)
			if !ok || got.Pattern != want {
				t.Fatalf("%s %s: got %+v, want %q", q.method, q.path(), got, want)
			}
		}
	})
}

func TestPatternsThatClashAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.yaml")
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRoute(t), drawRoute(t)
		_, err := loadRoutes(file, []refRoute{a, b})
		if refused := err != nil; refused != clash(a, b) {
			t.Fatalf("%q and %q: the reference says clash %v, loading says %v", a.text, b.text, clash(a, b), err)
		}
	})
}

// TestNoSpellingReachesAnotherRoute holds that a path which passes is served by
// the same route however an upstream decodes it and folds its case.
func TestNoSpellingReachesAnotherRoute(t *testing.T) {
	p := keyed(t, routed)
	seeds := []string{"/health", "/static/css/a.css", "/shared/abc", "/api/v1/jobs", "/api/v1/jobs/latest", "/api/v1/jobs/x/parts/y", "/keys/", "/files/home/x", "/nowhere"}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SampledFrom(seeds).Draw(t, "path")
		method := rapid.SampledFrom(worldMethods).Draw(t, "method")
		var spelled strings.Builder
		for i := range len(plain) {
			b := plain[i]
			how := rapid.IntRange(0, 9).Draw(t, "spelling")
			if b == '/' || b == '.' {
				how = 9 // what the path gate lets through escaped are letters and digits
			}
			if how == 0 && 'a' <= b && b <= 'z' {
				b -= 'a' - 'A'
			}
			if how == 1 {
				fmt.Fprintf(&spelled, "%%%02x", b)
			} else {
				spelled.WriteByte(b)
			}
		}
		got, ok := p.Match(method, spelled.String(), nil)
		if !ok {
			return
		}
		if want, _ := p.Match(method, plain, nil); got != want {
			t.Fatalf("%s %s goes to %q, and %s to %q", method, spelled.String(), got.Pattern, plain, want.Pattern)
		}
	})
}
