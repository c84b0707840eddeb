package demo

import (
	"bytes"
	"fmt"
)

// AddEndpoints repeats the endpoint of a port of 127.0.0.1 in an Envoy
// configuration for further ports, each on a line of its own. All else stays as it
// is, byte for byte.
func AddEndpoints(config []byte, port int, further ...int) ([]byte, error) {
	if len(further) == 0 {
		return config, nil
	}
	plain := fmt.Sprintf("port_value: %d }", port)
	lines := bytes.Split(config, []byte("\n"))
	var out [][]byte
	found := false
	for _, line := range lines {
		out = append(out, line)
		if !bytes.Contains(line, []byte("- endpoint:")) || !bytes.Contains(line, []byte(plain)) {
			continue
		}
		found = true
		for _, other := range further {
			out = append(out, bytes.Replace(line, []byte(plain), []byte(fmt.Sprintf("port_value: %d }", other)), 1))
		}
	}
	if !found {
		return nil, fmt.Errorf("add endpoints: no line holds an endpoint with port %d", port)
	}
	return bytes.Join(out, []byte("\n")), nil
}
