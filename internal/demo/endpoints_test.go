package demo_test

import (
	"bytes"
	"testing"

	"postern/internal/demo"
	"postern/internal/testenv"
)

func TestReplicasBecomeEndpointsAndNothingElseChanges(t *testing.T) {
	config := testenv.File(t, "envoy", "envoy.yaml")
	with, err := demo.AddEndpoints(config, 9001, 9011, 9021)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []string{"port_value: 9001 }", "port_value: 9011 }", "port_value: 9021 }"} {
		if n := bytes.Count(with, []byte(port)); n != 1 {
			t.Errorf("%s occurs %d times", port, n)
		}
	}
	if bytes.Count(with, []byte("\n")) != bytes.Count(config, []byte("\n"))+2 {
		t.Error("other lines changed")
	}
	if _, err := demo.AddEndpoints(config, 1234, 1); err == nil {
		t.Error("a port that is not there is accepted")
	}
}
