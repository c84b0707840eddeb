package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// schema is the part of JSON Schema (draft 2020-12) that a Config needs.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Minimum     *float64           `json:"minimum,omitempty"`
	Maximum     *float64           `json:"maximum,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Default     any                `json:"default,omitempty"`
	Closed      *bool              `json:"additionalProperties,omitempty"`
}

// Schema is the JSON Schema of the configuration file, for editors and checks.
func Schema() []byte {
	defaults := Default()
	root := object("Configuration of the Postern server.")
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "postern"
	for _, s := range sections(&defaults) {
		parent := root
		if s.path != "" {
			parent = object(s.doc)
			root.Properties[s.path] = parent
		}
		for _, f := range s.fields {
			name := f.tag.Get("yaml")
			parent.Properties[name] = property(f)
			if f.fromFile() {
				parent.Properties[name+"_file"] = &schema{Type: "string", Description: "A file that holds " + f.path + "."}
			}
		}
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("config: marshal schema: %v", err)) // plain data always marshals
	}
	return append(text, '\n')
}

func object(description string) *schema {
	closed := false
	return &schema{Type: "object", Description: description, Properties: map[string]*schema{}, Closed: &closed}
}

func property(f field) *schema {
	p := &schema{Type: "string", Description: f.doc()}
	switch f.kind() {
	case "secret":
		p.MinLength, _ = strconv.Atoi(f.tag.Get("min"))
		return p
	case "duration":
		p.Pattern = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
		p.Default = f.text()
		return p
	case "list":
		p.Type, p.Items = "array", &schema{Type: "string"}
		return p
	case "bool":
		p.Type = "boolean"
	case "int", "number":
		p.Type = map[string]string{"int": "integer", "number": "number"}[f.kind()]
		least, most := parseNumber(f.tag.Get("min")), parseNumber(f.tag.Get("max"))
		p.Minimum, p.Maximum = &least, &most
	}
	if allowed := f.tag.Get("enum"); allowed != "" {
		p.Enum = strings.Split(allowed, ",")
	}
	if f.tag.Get("default") != "" {
		p.Default = f.value.Interface()
	}
	return p
}

// Reference is the reference page of the configuration, in Markdown.
func Reference() []byte {
	var page strings.Builder
	page.WriteString(`# Configuration

<!-- Written by internal/config; change the struct there and run: go test ./internal/config -update -->

Each value comes from the first of these that has it: the flag, the environment variable, the file that
` + "`--config` or `POSTERN_CONFIG`" + ` names, the default. The file is YAML; a section's fields stand below its name. A
misspelt or repeated field, and a value out of bounds, stops the start with the file, the line and the remedy; all
problems are reported at once. ` + "`postern config check`" + ` looks without starting anything.

Lists are separated by commas in variables and flags. A secret has no flag; for it and for store.url, ` + "`_FILE` after its variable, or `_file`" + ` after
its field, names a file that holds it.
`)
	defaults := Default()
	for _, s := range sections(&defaults) {
		if s.path == "" {
			page.WriteString("\n## General\n\n")
		} else {
			fmt.Fprintf(&page, "\n## %s\n\n%s\n\n", s.path, s.doc)
		}
		page.WriteString("| Field | Variable | Flag | Type | Default | Meaning |\n|---|---|---|---|---|---|\n")
		for _, f := range s.fields {
			fmt.Fprintf(&page, "| `%s` | `%s` | %s | %s | %s | %s |\n", f.path, f.env(), flagCell(f), typeCell(f), defaultCell(f), f.doc())
		}
	}
	return []byte(page.String())
}

func flagCell(f field) string {
	if f.secret() {
		return "none"
	}
	return "`--" + f.flag() + "`"
}

func typeCell(f field) string {
	least, most := f.tag.Get("min"), f.tag.Get("max")
	switch {
	case f.tag.Get("enum") != "":
		return strings.ReplaceAll(f.tag.Get("enum"), ",", ", ")
	case f.secret() && least != "":
		return fmt.Sprintf("secret, %s characters or more", least)
	case most != "":
		return fmt.Sprintf("%s, %s to %s", f.kind(), least, most)
	default:
		return f.kind()
	}
}

func defaultCell(f field) string {
	if text := f.tag.Get("default"); text != "" {
		return "`" + text + "`"
	}
	return "none"
}
