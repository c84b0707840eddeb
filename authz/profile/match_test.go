package profile_test

import (
	"strings"
	"testing"

	"postern/authz/profile"
)

const routed = `
preflight: true
routes:
  - { route: GET /health, public: true }
  - { route: "GET /static/{rest...}", public: true }
  - { route: "GET /shared/{id}", public: true }
  - { route: "/api/v1/{rest...}", permission: use }
  - { route: POST /api/v1/jobs, cost: 1 }
  - { route: "/api/v1/jobs/{job}" }
  - { route: "/api/v1/jobs/{job}/parts/{part}" }
  - { route: /api/v1/jobs/latest }
  - { route: HEAD /api/v1/jobs/latest, permission: peek }
  - { route: /keys/, permission: keys }
  - { route: "/files/{folder}/{rest...}" }
  - { route: /both }
  - { route: /both/ }
  - { route: GET /Mixed/Case }
`

func TestTheMostSpecificRouteWins(t *testing.T) {
	const fallback, refused = "", "refused"
	p := keyed(t, routed)
	for name, tt := range map[string]struct {
		method, path, want string
	}{
		"a public path":                                     {"GET", "/health", "GET /health"},
		"HEAD goes where GET goes":                          {"HEAD", "/health", "GET /health"},
		"another method on a public path":                   {"POST", "/health", fallback},
		"a public path with a slash":                        {"GET", "/health/", fallback},
		"a public path in upper case":                       {"GET", "/Health", refused},
		"a public path with an escaped letter":              {"GET", "/h%65alth", refused},
		"a public path with an escaped upper-case letter":   {"GET", "/h%45alth", refused},
		"a public path and more":                            {"GET", "/health/x", fallback},
		"a public path as a prefix":                         {"GET", "/healthX", fallback},
		"a public path with a dot":                          {"GET", "/health.", refused},
		"a metered path with a dot":                         {"POST", "/api/v1/jobs.", refused},
		"a dot at the end of nothing known":                 {"GET", "/other./x", fallback},
		"below a public rest":                               {"GET", "/static/css/a.css", "GET /static/{rest...}"},
		"below a public rest with upper case":               {"GET", "/static/Logo.PNG", "GET /static/{rest...}"},
		"below a public rest with a slash":                  {"GET", "/static/css/", "GET /static/{rest...}"},
		"below a public rest with an escape":                {"GET", "/static/%61.css", refused},
		"the folder of a public rest":                       {"GET", "/static", fallback},
		"the folder of a public rest with a slash":          {"GET", "/static/", fallback},
		"another spelling of the folder of a public rest":   {"GET", "/Static/a.css", refused},
		"a public variable":                                 {"GET", "/shared/abc", "GET /shared/{id}"},
		"a public variable with a slash":                    {"GET", "/shared/abc/", fallback},
		"a public variable with an escape":                  {"GET", "/shared/%61bc", refused},
		"a public variable with a dot":                      {"GET", "/shared/a.c", refused},
		"a rest":                                            {"GET", "/api/v1/other/thing", "/api/v1/{rest...}"},
		"a rest with a slash":                               {"GET", "/api/v1/other/", "/api/v1/{rest...}"},
		"a rest of nothing":                                 {"GET", "/api/v1", fallback},
		"a rest of a slash":                                 {"GET", "/api/v1/", fallback},
		"a rest with an escaped letter":                     {"GET", "/api/v1/th%69ng", "/api/v1/{rest...}"},
		"a metered path":                                    {"POST", "/api/v1/jobs", "POST /api/v1/jobs"},
		"a metered path with a slash is metered":            {"POST", "/api/v1/jobs/", "POST /api/v1/jobs"},
		"a metered path by another method":                  {"GET", "/api/v1/jobs", "/api/v1/{rest...}"},
		"a metered path by a slash and another method":      {"GET", "/api/v1/jobs/", "/api/v1/{rest...}"},
		"a metered path with an escaped letter":             {"POST", "/api/v1/j%6Fbs", refused},
		"a metered path with an escaped upper-case letter":  {"POST", "/api/v1/j%4Fbs", refused},
		"a metered path in upper case":                      {"POST", "/API/v1/jobs", refused},
		"a metered path with one upper-case letter":         {"POST", "/api/v1/Jobs", refused},
		"the same spelling where it makes no difference":    {"PUT", "/api/v1/Jobs", "/api/v1/{rest...}"},
		"a variable":                                        {"GET", "/api/v1/jobs/J-7_x", "/api/v1/jobs/{job}"},
		"a variable with a slash":                           {"GET", "/api/v1/jobs/J7/", "/api/v1/jobs/{job}"},
		"a variable of 64 bytes":                            {"GET", "/api/v1/jobs/" + strings.Repeat("a", 64), "/api/v1/jobs/{job}"},
		"a variable of 65 bytes does not fall through":      {"GET", "/api/v1/jobs/" + strings.Repeat("a", 65), refused},
		"a variable with a dot does not fall through":       {"GET", "/api/v1/jobs/a.b", refused},
		"a variable with an escape does not fall through":   {"GET", "/api/v1/jobs/%61", refused},
		"a variable with a comma does not fall through":     {"GET", "/api/v1/jobs/a,b", refused},
		"a literal beside a variable":                       {"GET", "/api/v1/jobs/latest", "/api/v1/jobs/latest"},
		"a literal beside a variable in upper case":         {"GET", "/api/v1/jobs/LATEST", refused},
		"HEAD of its own":                                   {"HEAD", "/api/v1/jobs/latest", "HEAD /api/v1/jobs/latest"},
		"two variables":                                     {"GET", "/api/v1/jobs/a/parts/b", "/api/v1/jobs/{job}/parts/{part}"},
		"past the literal, back to the rest":                {"GET", "/api/v1/jobs/latest/parts", "/api/v1/{rest...}"},
		"past the literal, back to the variable":            {"GET", "/api/v1/jobs/latest/parts/1", "/api/v1/jobs/{job}/parts/{part}"},
		"written with a slash":                              {"GET", "/keys/", "/keys/"},
		"written with a slash, asked without":               {"GET", "/keys", "/keys/"},
		"written both ways, without":                        {"GET", "/both", "/both"},
		"written both ways, with":                           {"GET", "/both/", "/both/"},
		"a variable and a rest":                             {"GET", "/files/home/a.txt", "/files/{folder}/{rest...}"},
		"a bad variable before a rest":                      {"GET", "/files/a.b/a.txt", refused},
		"upper case in the pattern":                         {"GET", "/Mixed/Case", "GET /Mixed/Case"},
		"upper case in the pattern, folded":                 {"GET", "/mixed/case", refused},
		"nothing written":                                   {"GET", "/elsewhere", fallback},
		"nothing written, in any spelling":                  {"GET", "/%45lse/Where", fallback},
		"the root":                                          {"GET", "/", fallback},
		"an unknown method":                                 {"PURGE", "/both", "/both"},
		"an unknown method on a route for one method":       {"PURGE", "/api/v1/jobs", "/api/v1/{rest...}"},
		"an empty path":                                     {"GET", "", refused},
		"a path that is no path":                            {"OPTIONS", "*", refused},
		"a cut escape, which the path gate would not pass":  {"GET", "/healt%6", fallback},
		"an empty segment, which the gate would not pass":   {"GET", "//health", fallback},
		"an empty segment inside a route":                   {"POST", "/api//v1/jobs", fallback},
		"an escaped slash, which the gate would not pass":   {"GET", "/api%2Fv1%2Fjobs", fallback},
		"a literal that only begins like the escaped other": {"GET", "/healt%68x", fallback},
	} {
		t.Run(name, func(t *testing.T) {
			route, ok := p.Match(tt.method, tt.path, nil)
			got := refused
			if ok {
				got = route.Pattern
			}
			if got != tt.want {
				t.Errorf("%s %s: got %q, want %q", tt.method, tt.path, got, tt.want)
			}
		})
	}
}

func TestTheFallbackRouteIsNeverPublic(t *testing.T) {
	for _, p := range all(t) {
		route, ok := p.Match("GET", "/nowhere/at-all", nil)
		if !ok || route.Pattern != "" || route.Public || len(route.Credentials) == 0 {
			t.Errorf("%s: the fallback is %+v", p.Name, route)
		}
	}
}

func TestHealthIsPublicInEveryPreset(t *testing.T) {
	for _, p := range all(t) {
		if route, ok := p.Match("GET", "/health", nil); !ok || !route.Public {
			t.Errorf("%s: /health asks for a credential", p.Name)
		}
	}
}

func TestVarsHoldWhatStandsInThePath(t *testing.T) {
	p := keyed(t, routed)
	var vars profile.Vars
	if _, ok := p.Match("GET", "/files/Home/a/b.txt/", &vars); !ok {
		t.Fatal("refused")
	}
	for name, want := range map[string]string{"folder": "Home", "rest": "a/b.txt/"} {
		if got, ok := vars.Get(name); !ok || got != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, ok, want)
		}
	}
	if _, ok := vars.Get("job"); ok {
		t.Error("a variable of another route is there")
	}
	if _, ok := p.Match("GET", "/both", &vars); !ok {
		t.Fatal("refused")
	}
	if got, ok := vars.Get("folder"); ok {
		t.Errorf("a variable of the last request is still there: %q", got)
	}
}

func all(t testing.TB) []*profile.Profile {
	t.Helper()
	set := presets(t)
	var profiles []*profile.Profile
	for _, name := range set.Names() {
		profiles = append(profiles, set.ByName(name))
	}
	if len(profiles) != 6 {
		t.Fatalf("there are %d presets", len(profiles))
	}
	return profiles
}

// FuzzMatch holds, for any bytes, what a public route must never give.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"/health", "/Health", "/health/", "/static/a", "/static/%61", "/shared/x", "/api/v1/%6Aobs", "/%", "//", ""} {
		f.Add("GET", seed)
	}
	p := keyed(f, routed)
	f.Fuzz(func(t *testing.T, method, path string) {
		var vars profile.Vars
		route, ok := p.Match(method, path, &vars)
		if !ok {
			if route != nil {
				t.Error("a refused request has a route")
			}
			return
		}
		if !route.Public {
			return
		}
		exact := path == "/health" || strings.HasPrefix(path, "/static/") && len(path) > len("/static/") || strings.HasPrefix(path, "/shared/")
		if !exact || strings.Contains(path, "%") || method != "GET" && method != "HEAD" {
			t.Errorf("%s %q is public as %q", method, path, route.Pattern)
		}
	})
}
