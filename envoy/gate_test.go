package envoy_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"testing"
)

// gate is one of the Envoys.
type gate struct {
	name     string
	offset   int
	hardened bool
}

// listeners are the ports of the configurations by the API that they serve.
var listeners = map[string]int{
	"generic": 10000, "artos": 10001, "datasets": 10002, "artanis": 10003,
	"arthur-platform": 10004, "arthur-engine": 10005, "authenta": 10006,
}

func listenerPorts() []int {
	var all []int
	for _, port := range listeners {
		all = append(all, port)
	}
	return all
}

func (g gate) address(api string) string {
	port, ok := listeners[api]
	if !ok {
		panic("no listener serves " + api)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port+g.offset))
}

func (g gate) url(api string) string { return "http://" + g.address(api) }

// throughEach runs the test through each Envoy, at the same time.
func throughEach(t *testing.T, test func(t *testing.T, g gate)) {
	t.Helper()
	world.looked.Do(func() {
		if err := lookAtSources(world.root); err != nil {
			t.Fatal(err)
		}
	})
	for _, g := range world.gates {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			test(t, g)
		})
	}
}

func hardened() gate { return world.gates[0] }

func plain() gate { return world.gates[1] }

// fill puts the variables' values in the place of their $NAMES.
func fill(t testing.TB, text string) string {
	t.Helper()
	return os.Expand(text, func(name string) string {
		value, ok := world.variables[name]
		if !ok {
			t.Fatalf("%q: there is no variable %s", text, name)
		}
		return value
	})
}

func variable(t testing.TB, name string) string {
	t.Helper()
	return fill(t, fmt.Sprintf("${%s}", name))
}
