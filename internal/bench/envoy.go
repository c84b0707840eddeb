package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"postern/internal/bench/viaenvoy"
	"postern/internal/testenv"
)

// runEnvoy measures what authentication costs through the real Envoy.
func (b *bench) runEnvoy(ctx context.Context) error {
	if !b.wanted("envoy/") {
		return nil
	}
	rows, err := b.throughEnvoy(ctx)
	if err != nil {
		return b.lost(ctx, "envoy/", err)
	}
	b.results.Envoy = rows
	return nil
}

func (b *bench) throughEnvoy(ctx context.Context) ([]viaenvoy.Row, error) {
	root, err := testenv.Root()
	if err != nil {
		return nil, err
	}
	envoy, err := testenv.EnvoyBinary(ctx, filepath.Join(root, ".run", "envoy"))
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp("", "bench-envoy-") // its name is short, for there are sockets in it
	if err != nil {
		return nil, err
	}
	rows, err := viaenvoy.Measure(ctx, viaenvoy.Options{
		Root: root, Envoy: envoy, Postern: b.rig.Path("postern"), Stock: b.rig.Path("noop"), State: state, Short: b.plan.short, Log: b.log,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; the logs are in %s", err, state)
	}
	return rows, os.RemoveAll(state)
}

func (r *Results) envoyTable(text *strings.Builder) {
	if len(r.Envoy) == 0 {
		return
	}
	text.WriteString("## Through the real Envoy\n\nThe same request of some twenty headers through each front, in one run. Envoy answers itself behind its filters, so that no upstream is measured. " +
		"Throughput and processor time are at saturation, the times at a fixed rate; what is added is over no authentication at all. " +
		"Each round has a new Envoy: one and the same front can be a fifth slower in one than in another. " +
		"The stock server is configured as users do it; Postern is the fast reference configuration (envoy/fast.yaml). " +
		"Envoy's own filters ask nobody and are faster than any server can be: they know no revocation, no organization and no credits.\n\n" +
		"| Front | Transport | Envoy's threads | Requests/s | Throughput ratio | p50 µs | Added p50 µs | p99 µs | CPU µs of Envoy | of the server | CPU ratio, both |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, row := range r.Envoy {
		fmt.Fprintf(text, "| %s | %s | %d | %.0f | %s | %.0f | %.0f | %.0f | %.0f | %.0f | %.2f |\n", row.Front, row.Transport, row.Concurrency, row.Throughput.Median,
			ofThree(row.ThroughputRatio), row.P50.Median, row.AddedP50.Median, row.P99.Median, row.EnvoyCPU.Median, row.ServerCPU.Median, row.CPURatio.Median)
	}
	text.WriteString("\n" + r.added())
}

func ofThree(s viaenvoy.Spread) string {
	return fmt.Sprintf("**%.2f** (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

// added compares what Postern and the stock server add to the p50.
func (r *Results) added() string {
	var text strings.Builder
	for _, postern := range r.Envoy {
		if postern.Front != viaenvoy.Postern {
			continue
		}
		for _, stock := range r.Envoy {
			if stock.Front == viaenvoy.Stock && stock.Transport == postern.Transport && stock.Concurrency == postern.Concurrency && stock.AddedP50.Median > 0 {
				fmt.Fprintf(&text, "- Added p50 over %s with %d threads: %.2f of the stock server's.\n", postern.Transport, postern.Concurrency, postern.AddedP50.Median/stock.AddedP50.Median)
			}
		}
	}
	if text.Len() == 0 {
		return ""
	}
	return text.String() + "\n"
}
