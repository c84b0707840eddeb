package profile_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"postern/authz/profile"
	"postern/authz/reason"
)

func TestTheReferencePageNamesEveryFieldAndReason(t *testing.T) {
	data, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	var schema map[string]any
	if err := json.Unmarshal(profile.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	names := fields(schema)
	for _, r := range reason.Denials() {
		names = append(names, r.String())
	}
	if len(names) < 60 {
		t.Fatalf("only %d names", len(names))
	}
	for _, name := range names {
		if !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, "`"+name+": ") {
			t.Errorf("docs/profiles.md does not name %s", name)
		}
	}
}

// fields lists the properties of a schema and of what it holds.
func fields(schema map[string]any) []string {
	var names []string
	for key, value := range schema {
		inner, isObject := value.(map[string]any)
		if !isObject {
			continue
		}
		if key == "properties" {
			for name := range inner {
				names = append(names, name)
			}
		}
		names = append(names, fields(inner)...)
	}
	return names
}

func TestTheExampleOfTheReferencePageLoads(t *testing.T) {
	page, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1)
	if len(examples) != 1 {
		t.Fatalf("there are %d examples", len(examples))
	}
	if p := load(t, true, written(t, string(examples[0][1]))).ByName("notes"); p == nil || len(p.Issuers) != 1 {
		t.Errorf("got %+v", p)
	}
}
