// Package demo puts the real Envoy, Postern and an example upstream on loopback,
// with one of everything seeded, for `make run` and for the tests that look from
// outside. It uses Postern as an operator does: by its binaries, its
// configuration and its management API.
package demo

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// ShiftPorts adds the offset to each port_value of an Envoy configuration whose
// address is 127.0.0.1. All else stays as it is, byte for byte.
func ShiftPorts(config []byte, offset int) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(config, &document); err != nil {
		return nil, fmt.Errorf("shift ports: %w", err)
	}
	ports := loopbackPorts(&document, nil)
	sort.Slice(ports, func(i, j int) bool { // from the end, so that earlier places stay true
		a, b := ports[i], ports[j]
		return a.Line > b.Line || a.Line == b.Line && a.Column > b.Column
	})
	lines := bytes.Split(config, []byte("\n"))
	for _, node := range ports {
		port, err := strconv.Atoi(node.Value)
		if err != nil || port+offset < 1 || port+offset > 65535 {
			return nil, fmt.Errorf("shift ports: line %d: port %s by %d is no port", node.Line, node.Value, offset)
		}
		line := lines[node.Line-1]
		head, tail := line[:node.Column-1], line[node.Column-1:]
		rest, found := bytes.CutPrefix(tail, []byte(node.Value))
		if !found {
			return nil, fmt.Errorf("shift ports: line %d: port %s is not written plainly", node.Line, node.Value)
		}
		lines[node.Line-1] = []byte(fmt.Sprintf("%s%d%s", head, port+offset, rest))
	}
	return bytes.Join(lines, []byte("\n")), nil
}

// loopbackPorts finds the scalars to change. What an alias names is found where
// it stands.
func loopbackPorts(node *yaml.Node, found []*yaml.Node) []*yaml.Node {
	if node.Kind == yaml.MappingNode {
		var address, port *yaml.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			switch node.Content[i].Value {
			case "address":
				address = node.Content[i+1]
			case "port_value":
				port = node.Content[i+1]
			}
		}
		if address != nil && address.Value == "127.0.0.1" && port != nil {
			found = append(found, port)
		}
	}
	for _, child := range node.Content {
		found = loopbackPorts(child, found)
	}
	return found
}
