package envoy_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"postern/authz/profile"
	"postern/envoy/trim"
	"postern/internal/testenv"
)

// configuration is one of the project's, read as YAML.
func configuration(t *testing.T, name string) map[string]any {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal(testenv.File(t, "envoy", name), &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// each calls visit with every value of the key, wherever it stands.
func each(node any, key string, visit func(value any)) {
	switch node := node.(type) {
	case map[string]any:
		for name, value := range node {
			if name == key {
				visit(value)
			}
			each(value, key, visit)
		}
	case []any:
		for _, value := range node {
			each(value, key, visit)
		}
	}
}

// without takes the keys out of every map.
func without(node any, keys ...string) any {
	switch node := node.(type) {
	case map[string]any:
		for name, value := range node {
			if slices.Contains(keys, name) {
				delete(node, name)
				continue
			}
			node[name] = without(value, keys...)
		}
	case []any:
		for i := range node {
			node[i] = without(node[i], keys...)
		}
	}
	return node
}

func TestFastConfigurationIsTheReferenceButForWhatMakesItFast(t *testing.T) {
	fast, reference := configuration(t, "fast.yaml"), configuration(t, "envoy.yaml")
	endpoints := fmt.Sprint(fast["static_resources"].(map[string]any)["clusters"])
	const here, there = "address:map[pipe:map[path:/run/postern/check.sock]]", "address:map[socket_address:map[address:127.0.0.1 port_value:9001]]"
	if want := fmt.Sprint(reference["static_resources"].(map[string]any)["clusters"]); strings.Replace(endpoints, here, there, 1) != want {
		t.Errorf("the clusters are not the reference's with Postern behind a socket:\n%s\n%s", endpoints, want)
	}
	differ := []string{
		"layered_runtime", "clusters", "allowed_headers", "early_header_mutation", "early_header_mutation_extensions", "retry_policy", "answer",
		"org", "key", "user", // in the access log
	}
	if !reflect.DeepEqual(without(fast, differ...), without(reference, differ...)) {
		t.Error("fast.yaml and envoy.yaml differ in more than what makes the one fast; make the change in both")
	}
}

func TestFastConfigurationSaysWhatFollowsFromThePresets(t *testing.T) {
	set, err := profile.Load(true)
	if err != nil {
		t.Fatal(err)
	}
	var written, meant map[string]any
	written = configuration(t, "fast.yaml")
	if err := yaml.Unmarshal([]byte(trim.Of(set).YAML()), &meant); err != nil {
		t.Fatal(err)
	}
	listeners := len(written["static_resources"].(map[string]any)["listeners"].([]any))
	for key, want := range meant {
		found := 0
		each(written, key, func(value any) {
			found++
			if !reflect.DeepEqual(value, want) {
				t.Errorf("%s is\n%v\nand the presets need\n%v\nWrite what `postern config headers` prints", key, value, want)
			}
		})
		if found < listeners && key != "layered_runtime" || found == 0 {
			t.Errorf("%s stands in %d places for %d listeners", key, found, listeners)
		}
	}
}

// The expression is the one in fast.yaml itself; Envoy writes a name in lower case
// before it compares it.
func TestFastConfigurationStripsWhatEachPresetProtectsInEverySpelling(t *testing.T) {
	set, err := profile.Load(true)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, name := range set.Names() {
		declared = append(declared, set.ByName(name).Declared...)
	}
	var expressions []string
	each(configuration(t, "fast.yaml"), "regex", func(value any) { expressions = append(expressions, value.(string)) })
	slices.Sort(expressions)
	if expressions = slices.Compact(expressions); len(expressions) != 1 {
		t.Fatalf("there are the expressions %q", expressions)
	}
	stripped := regexp.MustCompile("^(?:" + expressions[0] + ")$").MatchString
	for _, name := range set.Names() {
		for _, protected := range set.ByName(name).Upstream.Protected {
			for says, spelt := range spellings(protected) {
				spelt = strings.ToLower(spelt)
				if want := !slices.Contains(declared, spelt); stripped(spelt) != want {
					t.Errorf("%s: %s, %s: stripped is %v, want %v", name, spelt, says, !want, want)
				}
			}
		}
		for _, read := range set.ByName(name).Declared {
			if stripped(read) {
				t.Errorf("%s: %s is read and would be stripped", name, read)
			}
		}
	}
}
