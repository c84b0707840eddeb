package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFile takes the values of a YAML file, strictly: a key that no field has,
// or that is there twice, is an error, not a typo that silently does nothing.
func (l *loader) readFile(path string) {
	file, err := os.Open(path)
	if err != nil {
		l.report("", path, fmt.Sprintf("the configuration file cannot be read: %v", err))
		return
	}
	defer file.Close()

	var document, more yaml.Node
	decoder := yaml.NewDecoder(file)
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return // an empty file says nothing
	case err != nil:
		l.report("", path, err.Error())
		return
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		l.report("", path, "holds more than one YAML document; the configuration is one")
		return
	}
	if len(document.Content) > 0 {
		l.readMapping(path, "", document.Content[0])
	}
}

// readMapping takes the keys below prefix ("" for the root).
func (l *loader) readMapping(file, prefix string, node *yaml.Node) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.MappingNode {
		l.report(prefix, at(file, node), "is not a mapping; write its fields below it, indented")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		path := strings.TrimPrefix(prefix+"."+key.Value, ".")
		if seen[path] {
			l.report(path, at(file, key), "is given twice; keep one of the two")
			continue
		}
		seen[path] = true
		l.readKey(file, path, key, value, seen)
	}
}

func (l *loader) readKey(file, path string, key, value *yaml.Node, seen map[string]bool) {
	secretPath, isFile := strings.CutSuffix(path, "_file")
	for _, f := range l.fields {
		switch {
		case strings.HasPrefix(f.path, path+"."):
			l.readMapping(file, path, value)
			return
		case f.path == path:
			l.readValue(file, f, value)
			return
		case isFile && f.fromFile() && f.path == secretPath:
			if seen[secretPath] {
				l.report(f.path, at(file, key), "is given twice; keep "+f.path+" or "+path)
				return
			}
			seen[secretPath] = true
			l.setFromFile(f, at(file, value), value.Value)
			return
		}
	}
	l.report(path, at(file, key), "is not a field; see `postern config schema` for those there are")
}

func (l *loader) readValue(file string, f field, value *yaml.Node) {
	if value.Kind == yaml.AliasNode {
		value = value.Alias
	}
	source := at(file, value)
	if f.list() && value.Kind == yaml.SequenceNode {
		var items []string
		for _, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				l.report(f.path, at(file, item), "holds something that is not text")
				return
			}
			items = append(items, item.Value)
		}
		l.origin[f.path] = source
		f.setList(items)
		return
	}
	if value.Kind != yaml.ScalarNode {
		l.report(f.path, source, "is not a single value; write one "+f.kind())
		return
	}
	if value.Tag == "!!null" {
		l.report(f.path, source, "has no value; write one, or leave the line out for the default")
		return
	}
	l.set(f, source, value.Value)
}

func at(file string, node *yaml.Node) string { return fmt.Sprintf("%s:%d", file, node.Line) }
