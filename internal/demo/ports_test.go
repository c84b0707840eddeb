package demo

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestShiftingMovesEveryLoopbackPortAndNothingElse(t *testing.T) {
	for _, name := range []string{"envoy.yaml", "fast.yaml", "plain.yaml"} {
		config, err := os.ReadFile(filepath.Join("..", "..", "envoy", name))
		if err != nil {
			t.Fatal(err)
		}
		shifted, err := ShiftPorts(config, 500)
		if err != nil {
			t.Fatal(err)
		}
		want := regexp.MustCompile(`port_value: 100`).ReplaceAll(config, []byte("port_value: 105"))
		want = regexp.MustCompile(`port_value: 90`).ReplaceAll(want, []byte("port_value: 95"))
		if !bytes.Equal(shifted, want) || bytes.Equal(shifted, config) {
			t.Errorf("%s: shifting changed something else, or nothing", name)
		}
		back, err := ShiftPorts(shifted, -500)
		if err != nil || !bytes.Equal(back, config) {
			t.Errorf("%s: shifting back does not restore it: %v", name, err)
		}
	}
}

func TestShiftingLeavesOtherAddressesAlone(t *testing.T) {
	config := []byte("a: {address: 10.0.0.1, port_value: 80}\nb: {port_value: 80, address: 127.0.0.1}\n")
	want := []byte("a: {address: 10.0.0.1, port_value: 80}\nb: {port_value: 81, address: 127.0.0.1}\n")
	if have, err := ShiftPorts(config, 1); err != nil || !bytes.Equal(have, want) {
		t.Errorf("got %s, %v", have, err)
	}
}

func TestShiftingOutOfRangeIsRefused(t *testing.T) {
	for _, offset := range []int{-81, 65535} {
		if have, err := ShiftPorts([]byte("{address: 127.0.0.1, port_value: 80}"), offset); err == nil {
			t.Errorf("offset %d gave %s", offset, have)
		}
	}
	if _, err := ShiftPorts([]byte("a: ["), 1); err == nil {
		t.Error("broken YAML was accepted")
	}
}
