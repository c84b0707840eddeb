// Package archtest holds the import rules of the project as a test, so that they
// are checked with every run and not only where the linter is at hand. It knows
// the names of packages and nothing of what is in them.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rule forbids packages to import others, or where it is deep, to reach them by
// any path. A pattern is a package and all below it; with "!" in front it makes
// an exception.
type rule struct {
	says   string
	of     []string
	forbid []string
	deep   bool
}

const (
	controlPlane = "github.com/envoyproxy/go-control-plane"
	protobuf     = "google.golang.org/protobuf"
	gRPC         = "google.golang.org/grpc"
)

var (
	transports = []string{gRPC, protobuf, controlPlane, "github.com/grpc-ecosystem"}
	databases  = []string{"database/sql", "modernc.org", "github.com/jackc", "github.com/pressly/goose", "github.com/redis"}
	outside    = []string{"postern/admin", "postern/cache", "postern/cmd", "postern/envoy", "postern/internal", "postern/proto", "postern/store"}
)

// The exception database/sql/driver is an interface that the UUID library implements.
var rules = []rule{
	{"the core knows no transport and no database", []string{"postern/authz"}, slices.Concat(transports, databases, outside, []string{"!database/sql/driver"}), true},
	{"identity and reason are leaves", []string{"postern/authz/identity", "postern/authz/reason"}, []string{"postern", "external"}, false},
	{"credential knows identity and reason only", []string{"postern/authz/credential"}, []string{"postern", "!postern/authz/identity", "!postern/authz/reason"}, false},
	{"profile knows no token and no engine", []string{"postern/authz/profile"}, []string{"postern", "!postern/authz/identity", "!postern/authz/reason", "!postern/authz/credential"}, false},
	{"token knows no credential source and no engine", []string{"postern/authz/token"}, []string{"postern", "!postern/authz/identity", "!postern/authz/reason", "!postern/authz/profile", "!postern/authz/credential"}, false},
	{"the store knows no cache and nothing above it", []string{"postern/store"}, slices.Concat([]string{"postern/cache", "postern/admin", "postern/envoy", "postern/cmd", "postern/internal", "postern/proto", controlPlane, gRPC}, transports), false},
	{"the cache knows no store and nothing above it", []string{"postern/cache"}, []string{"postern/store", "postern/admin", "postern/envoy", "postern/cmd", "postern/internal", "postern/proto"}, false},
	{"the cache knows its engines by their ports", []string{"postern/cache", "!postern/cache/redis"}, slices.Concat(databases, []string{"!database/sql/driver"}), true},
	{"a Redis cache knows Redis alone", []string{"postern/cache/redis"}, slices.Concat(databases, []string{"!github.com/redis", "!database/sql/driver"}), true},
	{"the Check service knows no storage", []string{"postern/envoy"}, slices.Concat([]string{"postern/store", "postern/cache", "postern/admin", "postern/cmd", "postern/internal"}, databases), false},
	{"management knows no store engine and no Envoy", []string{"postern/admin"}, slices.Concat([]string{"postern/envoy", "postern/cmd", "postern/internal", "postern/store/sqlite", "postern/store/postgres", controlPlane}, databases), false},
	{"only the Check service and the test environment speak Envoy's protocol", []string{"postern", "!postern/envoy/extauthz", "!postern/internal"}, []string{controlPlane}, false},
	{"commands are composed in internal/wire", []string{"postern/cmd"}, slices.Concat([]string{"postern/store/sqlite", "postern/store/postgres", controlPlane}, databases), false},
	{"production code does not import what starts test servers", []string{"postern", "!postern/internal/testenv", "!postern/internal/demo", "!postern/internal/soak", "!postern/internal/bench"}, []string{"postern/internal/testenv", "postern/internal/demo"}, false},
	{"nobody imports a command", []string{"postern"}, []string{"postern/cmd"}, false},
	{"one YAML, one SQLite, one JWT library", []string{"postern"}, []string{"gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "github.com/mattn/go-sqlite3", "github.com/dgrijalva/jwt-go"}, false},
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string // what it reaches, itself excluded
}

func list(t *testing.T) []listed {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,Deps", "postern/...")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func TestImportsPointInward(t *testing.T) {
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages: the rules would look at nothing", len(packages))
	}
	for _, r := range rules {
		applied := false
		for _, p := range packages {
			if !matches(p.ImportPath, r.of) {
				continue
			}
			applied = true
			reached := p.Imports
			if r.deep {
				reached = p.Deps
			}
			for _, other := range reached {
				if matches(other, r.forbid) {
					t.Errorf("%s: %s imports %s", r.says, p.ImportPath, other)
				}
			}
		}
		if !applied {
			t.Errorf("%s: the rule is about %v, and there is no such package", r.says, r.of)
		}
	}
}

func TestNoPackageIsADrawer(t *testing.T) {
	for _, p := range list(t) {
		for _, name := range strings.Split(p.ImportPath, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "lib", "pkg"}, name) {
				t.Errorf("%s: %s says nothing of what is in it", p.ImportPath, name)
			}
		}
	}
}

// matches: one of the patterns holds and no exception does.
func matches(path string, patterns []string) bool {
	found := false
	for _, pattern := range patterns {
		except, excepted := strings.CutPrefix(pattern, "!")
		switch {
		case excepted && within(path, except):
			return false
		case !excepted && within(path, pattern):
			found = true
		}
	}
	return found
}

func within(path, pattern string) bool {
	if pattern == "external" { // not of the standard library, which has no dot in its first part
		first, _, _ := strings.Cut(path, "/")
		return strings.Contains(first, ".")
	}
	return path == pattern || strings.HasPrefix(path, pattern+"/")
}

func TestPatternsMatchWholePartsAndExceptionsWin(t *testing.T) {
	for _, c := range []struct {
		path     string
		patterns []string
		want     bool
	}{
		{"postern/store", []string{"postern/store"}, true},
		{"postern/store/sqlite", []string{"postern/store"}, true},
		{"postern/storetest", []string{"postern/store"}, false},
		{"postern/envoy/extauthz", []string{"postern", "!postern/envoy/extauthz"}, false},
		{"postern/envoy", []string{"postern", "!postern/envoy/extauthz"}, true},
		{"google.golang.org/grpc/codes", []string{gRPC}, true},
		{"crypto/sha256", []string{"external"}, false},
		{"go.yaml.in/yaml/v3", []string{"external"}, true},
	} {
		if have := matches(c.path, c.patterns); have != c.want {
			t.Errorf("%s against %v: %v", c.path, c.patterns, have)
		}
	}
}
