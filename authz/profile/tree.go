package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth and maxValues bound a document, which YAML aliases could make endless.
const (
	maxDepth  = 64
	maxValues = 100_000
)

// place is where something was written.
type place struct {
	file string
	line int
}

type treeKind uint8

const (
	scalarTree treeKind = iota
	listTree
	mapTree
)

// tree is a YAML value that knows where it was written, so that a value that
// came from another file by "extends" is still reported where it stands.
type tree struct {
	at    place
	kind  treeKind
	tag   string // of a scalar: !!str, !!int, …
	value string // of a scalar
	keys  []treeKey
	items []*tree // of a list, or of a map in the order of keys
}

type treeKey struct {
	name string
	at   place
}

func (t *tree) isNull() bool { return t.kind == scalarTree && t.tag == "!!null" }

// get returns the value of a map's key, or nil.
func (t *tree) get(name string) *tree {
	if t == nil || t.kind != mapTree {
		return nil
	}
	for i := range t.keys {
		if t.keys[i].name == name {
			return t.items[i]
		}
	}
	return nil
}

// text returns the value of a map's key that is a string, or "".
func (t *tree) text(name string) string {
	if value := t.get(name); value != nil && value.kind == scalarTree && value.tag == "!!str" {
		return value.value
	}
	return ""
}

// parseTrees reads the YAML documents of a file; empty ones are left out.
func parseTrees(file string, data []byte, problems *Problems) []*tree {
	var trees []*tree
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return trees
		}
		if err != nil {
			line, text := splitLine(err.Error())
			problems.add(place{file, line}, "", "is no YAML: %s", text)
			return trees
		}
		c := converter{file: file, problems: problems}
		if t := c.convert(&node, 0); t != nil && !t.isNull() {
			trees = append(trees, t)
		}
	}
}

// splitLine takes "yaml: line 3: text" apart; the line is 0 where there is none.
func splitLine(message string) (line int, text string) {
	text = strings.TrimPrefix(message, "yaml: ")
	if rest, found := strings.CutPrefix(text, "line "); found {
		number, tail, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			return n, tail
		}
	}
	return 0, text
}

// converter makes a tree of a document's nodes.
type converter struct {
	file     string
	values   int
	problems *Problems
}

// convert makes a tree of a node, or nil after reporting why it cannot.
func (c *converter) convert(node *yaml.Node, depth int) *tree {
	at := place{c.file, node.Line}
	if c.values++; c.values > maxValues {
		if c.values == maxValues+1 {
			c.problems.add(at, "", "has more than %d values; write it shorter", maxValues)
		}
		return nil
	}
	if depth > maxDepth {
		c.problems.add(at, "", "is nested more than %d deep; write it flatter", maxDepth)
		return nil
	}
	switch node.Kind {
	case yaml.DocumentNode:
		return c.convert(node.Content[0], depth+1)
	case yaml.AliasNode:
		return c.convert(node.Alias, depth+1)
	case yaml.ScalarNode:
		return &tree{at: at, tag: node.ShortTag(), value: node.Value}
	case yaml.SequenceNode:
		return c.convertList(node, depth)
	case yaml.MappingNode:
		return c.convertMap(node, depth)
	}
	c.problems.add(at, "", "is not YAML that a profile can use")
	return nil
}

func (c *converter) convertList(node *yaml.Node, depth int) *tree {
	t := &tree{at: place{c.file, node.Line}, kind: listTree}
	for _, item := range node.Content {
		if c.values > maxValues {
			break
		}
		if child := c.convert(item, depth+1); child != nil {
			t.items = append(t.items, child)
		}
	}
	return t
}

func (c *converter) convertMap(node *yaml.Node, depth int) *tree {
	t := &tree{at: place{c.file, node.Line}, kind: mapTree}
	for i := 0; i+1 < len(node.Content) && c.values <= maxValues; i += 2 {
		key := node.Content[i]
		at := place{c.file, key.Line}
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			c.problems.add(at, "", "a key must be plain text; instead of << use extends, or an alias for the whole value")
			continue
		}
		if t.get(key.Value) != nil {
			c.problems.add(at, key.Value, "is given twice; remove one")
			continue
		}
		if child := c.convert(node.Content[i+1], depth+1); child != nil {
			t.keys = append(t.keys, treeKey{key.Value, at})
			t.items = append(t.items, child)
		}
	}
	return t
}

// merge lays a tree over its base: maps merge deeply, everything else replaces.
// A "json" body counts as one value, for a body is told as it is written.
func merge(base, over *tree) *tree {
	if base == nil || base.kind != mapTree || over.kind != mapTree {
		return over
	}
	merged := &tree{at: over.at, kind: mapTree}
	for i, key := range base.keys {
		value := base.items[i]
		if above := over.get(key.name); above != nil {
			if key.name == "json" {
				value = above
			} else {
				value = merge(value, above)
			}
		}
		merged.keys = append(merged.keys, key)
		merged.items = append(merged.items, value)
	}
	for i, key := range over.keys {
		if base.get(key.name) == nil {
			merged.keys = append(merged.keys, key)
			merged.items = append(merged.items, over.items[i])
		}
	}
	return merged
}

// without returns a map without some of its keys.
func (t *tree) without(names ...string) *tree {
	rest := &tree{at: t.at, kind: t.kind}
next:
	for i, key := range t.keys {
		for _, name := range names {
			if key.name == name {
				continue next
			}
		}
		rest.keys = append(rest.keys, key)
		rest.items = append(rest.items, t.items[i])
	}
	return rest
}

// describe says what a tree is, for an error.
func (t *tree) describe() string {
	switch {
	case t.kind == mapTree:
		return "a map"
	case t.kind == listTree:
		return "a list"
	case t.isNull():
		return "empty"
	}
	return fmt.Sprintf("%q", t.value)
}
