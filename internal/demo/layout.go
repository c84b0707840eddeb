package demo

import (
	"fmt"
	"path/filepath"
	"strconv"
)

// The ports of the demo before they are shifted. The APIs have one each from
// portArtos on, in the order of apis.
const (
	portGeneric  = 10000
	portCheck    = 9001
	portAdmin    = 9002
	portUpstream = 9003
)

// api is one of the guarded APIs: its profile, its port and its variables' prefix.
type api struct {
	profile  string
	port     int
	variable string
}

func apis() []api {
	return []api{
		{"artos", 10001, "ARTOS"},
		{"datasets", 10002, "DATASETS"},
		{"artanis", 10003, "ARTANIS"},
		{"arthur-platform", 10004, "ARTHUR_PLATFORM"},
		{"arthur-engine", 10005, "ARTHUR_ENGINE"},
		{"authenta", 10006, "AUTHENTA"},
	}
}

// Ports are all ports of the demo, not shifted.
func Ports() []int {
	ports := []int{portGeneric, portCheck, portAdmin, portUpstream}
	for _, a := range apis() {
		ports = append(ports, a.port)
	}
	return ports
}

// replicas are how many servers run over backends that they can share.
const replicas = 3

// replicaStep is between the ports of one replica and the next.
const replicaStep = 10

// layout says where the demo keeps what, and which ports it has.
type layout struct {
	root   string // of the project
	state  string // the folder with all that it writes
	offset int
	count  int // of replicas
}

// further are the ports of the replicas after the first.
func (l layout) further(port int) []int {
	var ports []int
	for i := 1; i < l.count; i++ {
		ports = append(ports, port+i*replicaStep)
	}
	return ports
}

func (l layout) path(name ...string) string {
	return filepath.Join(append([]string{l.state}, name...)...)
}

func (l layout) address(port int) string { return "127.0.0.1:" + strconv.Itoa(port+l.offset) }

func (l layout) url(port int) string { return "http://" + l.address(port) }

// ports are the shifted ones.
func (l layout) ports() ([]int, error) {
	ports := append(Ports(), append(l.further(portCheck), l.further(portAdmin)...)...)
	for i := range ports {
		if ports[i] += l.offset; ports[i] < 1 || ports[i] > 65535 {
			return nil, fmt.Errorf("PORT_OFFSET %d shifts a port to %d; use one between %d and %d", l.offset, ports[i], 1-portCheck, 65535-10006)
		}
	}
	return ports, nil
}
