package trim_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"postern/authz/profile"
	"postern/envoy/trim"
)

func ofPresets(t *testing.T) trim.Headers {
	t.Helper()
	set, err := profile.Load(true)
	if err != nil {
		t.Fatal(err)
	}
	return trim.Of(set)
}

// whole is how Envoy holds a name against an expression.
func whole(t *testing.T, expression string) *regexp.Regexp {
	t.Helper()
	compiled, err := regexp.Compile("^(?:" + expression + ")$")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// fold is what the most forgiving server makes of a name.
func fold(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-._", r) }), "-")
}

func TestNamesToStripAreThoseThatFoldIntoAProtectedOneAndNoOthers(t *testing.T) {
	h := ofPresets(t)
	expression := whole(t, h.Expression())
	rapid.Check(t, func(t *rapid.T) {
		protected := rapid.SampledFrom(append([]string{"user-agent", "x-request-id", "x-org", "accept"}, h.Strip...)).Draw(t, "name")
		separator := rapid.StringOfN(rapid.RuneFrom([]rune("-._")), 1, 3, -1)
		end := rapid.StringOfN(rapid.RuneFrom([]rune("-._ax")), 0, 2, -1)
		name := end.Draw(t, "before")
		for i, part := range strings.Split(protected, "-") {
			if i > 0 && rapid.IntRange(0, 2).Draw(t, "plain") > 0 {
				name += "-"
			} else if i > 0 {
				name += separator.Draw(t, "gap")
			}
			name += part
		}
		name += end.Draw(t, "behind")
		want := slices.Contains(h.Strip, fold(name)) && !slices.Contains(h.Allowed, name)
		if have := expression.MatchString(name); have != want {
			t.Fatalf("%q: stripped is %v, want %v", name, have, want)
		}
	})
	for _, name := range h.Allowed {
		if expression.MatchString(name) {
			t.Errorf("%s is read and would be stripped", name)
		}
	}
}

func TestProfileOfOnesOwnHasItsSay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.yaml")
	err := os.WriteFile(file, []byte(`
profile: shop
hosts: [shop.example]
credentials: [ { header: x-shop-key, as: api_key }, { cookie: basket, as: api_key } ]
api_keys: { prefix: shop_ }
organization: { from: header x-shop-team }
request_id: header idempotency-key
upstream: { org_id: x-shop-org }
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	set, err := profile.Load(false, file)
	if err != nil {
		t.Fatal(err)
	}
	h := trim.Of(set)
	for _, name := range []string{"x-shop-key", "cookie", "x-shop-team", "idempotency-key", "x-forwarded-proto", "upgrade"} {
		if !slices.Contains(h.Allowed, name) {
			t.Errorf("%s is read and would not be sent", name)
		}
	}
	expression := whole(t, h.Expression())
	for name, want := range map[string]bool{
		"x-shop-org": true, "x.shop.org": true, "x-org-id": true, "x-org-slug": true, "x-shop-key.": true, "x--shop-key": true,
		"x-shop-key": false, "x-shop-team": false, "x-api-key": false, "authorization": false, "cookie": false,
	} {
		if expression.MatchString(name) != want {
			t.Errorf("%s: stripped is %v, want %v", name, !want, want)
		}
	}
}

func TestWhatIsPrintedIsWhatIsMeant(t *testing.T) {
	h := ofPresets(t)
	var printed struct {
		Allowed struct {
			Patterns []struct{ Exact string }
		} `yaml:"allowed_headers"`
		Mutations []struct {
			Remove struct {
				Key struct {
					Safe struct{ Regex string } `yaml:"safe_regex"`
				} `yaml:"key_matcher"`
			} `yaml:"remove_on_match"`
		}
	}
	if err := yaml.Unmarshal([]byte(h.YAML()), &printed); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pattern := range printed.Allowed.Patterns {
		names = append(names, pattern.Exact)
	}
	if !slices.Equal(names, h.Allowed) || len(printed.Mutations) != 1 || printed.Mutations[0].Remove.Key.Safe.Regex != h.Expression() {
		t.Errorf("printed is\n%s", h.YAML())
	}
}
