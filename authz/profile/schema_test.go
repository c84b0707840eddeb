package profile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"postern/authz/profile"
)

const schemaFile = "../../docs/profile.schema.json"

func TestTheSchemaInTheDocsIsTheOneOfTheTypes(t *testing.T) {
	got := profile.Schema()
	if *update {
		write(t, schemaFile, string(got))
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say; make it with -update", schemaFile)
	}
}

func TestEveryPresetFulfilsTheSchema(t *testing.T) {
	schema := compiledSchema(t)
	files, err := filepath.Glob("presets/*.yaml")
	if err != nil || len(files) != 6 {
		t.Fatalf("presets: %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance(t, string(data))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestTheSchemaRefusesWhatLoadRefuses(t *testing.T) {
	schema := compiledSchema(t)
	for name, fields := range map[string]string{
		"an unknown field":           "colour: red",
		"an unknown field, nested":   "routes: [{ route: /x, colour: red }]",
		"an unknown kind":            "credentials: [{ bearer: password }]",
		"an unknown status":          "answers: { forbidden: { status: 200 } }",
		"an unknown Reason":          "answers: { sunburnt: { status: 401 } }",
		"an unknown method":          "permissions: { FETCH: read }",
		"an unknown algorithm":       "tokens: [{ issuer: x, algorithms: [none] }]",
		"an issuer without its name": "tokens: [{ algorithms: [RS256] }]",
		"a cost below one":           "routes: [{ route: /x, cost: 0 }]",
		"a body that is no object":   "answers: { default: { json: text } }",
	} {
		t.Run(name, func(t *testing.T) {
			if schema.Validate(instance(t, "profile: api\n"+fields)) == nil {
				t.Error("the schema lets it pass")
			}
			if _, err := profile.Load(false, written(t, "profile: api\n"+fields)); err == nil {
				t.Error("loading lets it pass")
			}
		})
	}
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(profile.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("profile.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("profile.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// instance reads YAML as the JSON value that a validator wants.
func instance(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
