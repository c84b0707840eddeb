package testenv

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// EnvoyOptions says how to start an Envoy.
type EnvoyOptions struct {
	Binary string // from EnvoyBinary
	Config []byte // the bootstrap configuration, YAML
	Dir    string // where envoy.yaml and envoy.log are written
	// Concurrency is how many threads serve requests; 2 unless given.
	Concurrency int
}

// StartEnvoy starts an Envoy and waits, 15 seconds at most, until all its
// listeners accept connections.
func StartEnvoy(ctx context.Context, o EnvoyOptions) (*Process, error) {
	listeners, err := listenAddresses(o.Config)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	config := filepath.Join(o.Dir, "envoy.yaml")
	if err := os.WriteFile(config, o.Config, 0o644); err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	p, err := Start(Command{
		Name: "envoy",
		Path: o.Binary,
		// Without hot restart several Envoys run side by side.
		Args: []string{"--config-path", config, "--disable-hot-restart", "--concurrency", strconv.Itoa(cmp.Or(o.Concurrency, 2)), "--log-level", "warn"},
		Log:  filepath.Join(o.Dir, "envoy.log"),
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, address := range listeners {
		if err := p.WaitForPort(ctx, "tcp", address); err != nil {
			p.Kill()
			return nil, err
		}
	}
	return p, nil
}

// ValidateEnvoy lets Envoy itself judge the configuration, without starting it.
func ValidateEnvoy(ctx context.Context, binary, configPath string) error {
	return run(ctx, binary, "--mode", "validate", "--config-path", configPath, "--log-level", "warn")
}

// listenAddresses reads the addresses of the static listeners.
func listenAddresses(config []byte) ([]string, error) {
	var bootstrap struct {
		StaticResources struct {
			Listeners []struct {
				Address struct {
					SocketAddress struct {
						Address   string `yaml:"address"`
						PortValue string `yaml:"port_value"`
					} `yaml:"socket_address"`
				} `yaml:"address"`
			} `yaml:"listeners"`
		} `yaml:"static_resources"`
	}
	if err := yaml.Unmarshal(config, &bootstrap); err != nil {
		return nil, fmt.Errorf("read the envoy configuration: %w", err)
	}
	var addresses []string
	for _, l := range bootstrap.StaticResources.Listeners {
		addresses = append(addresses, net.JoinHostPort(l.Address.SocketAddress.Address, l.Address.SocketAddress.PortValue))
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("the envoy configuration has no static listeners")
	}
	return addresses, nil
}
