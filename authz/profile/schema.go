package profile

import (
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"postern/authz/reason"
)

// Schema is the JSON Schema (draft 2020-12) of one profile document, for editors.
// Load checks more than a schema can say.
func Schema() []byte {
	reflector := jsonschema.Reflector{
		FieldNameTag:               "yaml",
		RequiredFromJSONSchemaTags: true,
		Anonymous:                  true,
		DoNotReference:             true,
		Mapper:                     mapType,
	}
	schema := reflector.Reflect(document{})
	schema.Title = "A Postern profile"
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic("profile: the schema of a fixed type does not encode: " + err.Error())
	}
	return append(data, '\n')
}

// mapType gives the schema of the types whose YAML is not what their Go type says.
func mapType(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[tree]():
		return &jsonschema.Schema{Type: "object"}
	case kindsType:
		kind := &jsonschema.Schema{Type: "string", Enum: []any{"api_key", "token", "admin_key"}}
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{kind, {Type: "array", Items: kind}}}
	case outageType:
		age := jsonschema.NewProperties()
		age.Set("serve_stale_for", &jsonschema.Schema{Type: "string"})
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "string", Enum: []any{"deny"}},
			{Type: "object", Properties: age, Required: []string{"serve_stale_for"}, AdditionalProperties: jsonschema.FalseSchema},
		}}
	case reflect.TypeFor[methodsDoc]():
		return &jsonschema.Schema{
			Type:                 "object",
			PropertyNames:        &jsonschema.Schema{Enum: anys(methodNames[:])},
			AdditionalProperties: &jsonschema.Schema{Type: "string"},
		}
	case reflect.TypeFor[answersDoc]():
		names := append([]string{defaultAnswer, "unauthenticated", "not_found"}, denialNames()...)
		reflector := jsonschema.Reflector{FieldNameTag: "yaml", Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true, Mapper: mapType}
		answer := reflector.Reflect(answerDoc{})
		answer.Version = ""
		return &jsonschema.Schema{
			Type:                 "object",
			PropertyNames:        &jsonschema.Schema{Enum: anys(names)},
			AdditionalProperties: answer,
		}
	}
	return nil
}

func denialNames() []string {
	var names []string
	for _, r := range reason.Denials() {
		names = append(names, r.String())
	}
	return names
}

func anys(names []string) []any {
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
	}
	return list
}
