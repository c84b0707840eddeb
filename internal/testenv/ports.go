package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreePort is a TCP port of 127.0.0.1 that nobody listened on just now.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

// CheckFree tells which of the TCP ports of 127.0.0.1 are taken. Envoy shares its
// ports with whoever asks (SO_REUSEPORT), so a second one would start, and take
// half of the connections, instead of failing: look first.
func CheckFree(ports ...int) (taken []int) {
	for _, port := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			taken = append(taken, port)
			continue
		}
		_ = listener.Close()
	}
	return taken
}

// FreeOffset finds an offset that shifts all the ports to free ones, below the
// range that the kernel takes for outgoing connections.
func FreeOffset(ports ...int) (int, error) {
	const first, last, step = 100, 22000, 20
	for range 100 {
		offset := first + step*rand.IntN((last-first)/step)
		shifted := make([]int, len(ports))
		for i, port := range ports {
			shifted[i] = port + offset
		}
		if len(CheckFree(shifted...)) == 0 {
			return offset, nil
		}
	}
	return 0, fmt.Errorf("no offset shifts the ports %v to free ones", ports)
}
