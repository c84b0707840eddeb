package testenv

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy stands between a client and a server, on a port of loopback, and is slow
// or cut when a test says so. It is safe for concurrent use.
type Proxy struct {
	Addr string // 127.0.0.1:port, also while it is cut

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

// NewProxy starts a proxy in front of the upstream, a host:port.
func NewProxy(upstream string) (*Proxy, error) {
	port, err := lastingPort()
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{Addr: fmt.Sprint("127.0.0.1:", port)}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p.proxy = toxiproxy.NewProxy(server, upstream, p.Addr, upstream)
	if err := p.proxy.Start(); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	return p, nil
}

// Latency delays what the server answers from now on, on open connections too.
func (p *Proxy) Latency(d time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxy.Toxics.ResetToxics(context.Background())
	toxic := fmt.Sprintf(`{"type": "latency", "attributes": {"latency": %d}}`, d.Milliseconds())
	if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}

// Cut ends every connection and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxy.Stop()
}

// Heal takes all faults away. Connections that were cut stay so.
func (p *Proxy) Heal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proxy.Toxics.ResetToxics(context.Background())
	if p.proxy.Enabled {
		return nil
	}
	if err := p.proxy.Start(); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() { p.Cut() }
