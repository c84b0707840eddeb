package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
)

// kind is a request of which every repetition is decided alike.
type kind struct {
	name    string
	request rig.Request
	want    expectation
}

func bearer(value string) [][2]string {
	return [][2]string{{"authorization", "Bearer " + value}}
}

// kinds are the requests of the main series, by the credentials that were seeded.
func kinds(have map[string]string) []kind {
	return []kind{
		{"authenta cached key", rig.Request{Profile: "authenta", Path: "/api/v1/jobs", Headers: bearer(have["AUTHENTA_API_KEY"])},
			expectation{"authenta", "allowed", true}},
	}
}

// runMain measures each kind of request at saturation.
func (b *bench) runMain(ctx context.Context) error {
	noop, err := b.rig.Start(ctx, "", b.all)
	if err != nil {
		return err
	}
	defer noop.Stop()
	postern, err := b.rig.StartPostern(ctx, rig.Options{CPUs: b.all})
	if err != nil {
		return err
	}
	defer postern.Stop()
	have, err := postern.Seed(ctx)
	if err != nil {
		return err
	}
	for _, k := range kinds(have) {
		if !b.wanted("main/" + k.name) {
			continue
		}
		s, err := b.saturate(ctx, "main/"+k.name, k, b.plan.pairs, noop, postern.Server)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		b.results.Scenarios = append(b.results.Scenarios, s)
	}
	return nil
}

// saturate sends one request again and again, as fast as it is answered.
func (b *bench) saturate(ctx context.Context, name string, k kind, pairs int, noop, postern *rig.Server) (Scenario, error) {
	frame, err := k.request.Frame()
	if err != nil {
		return Scenario{}, err
	}
	body := b.rig.Path("body")
	if err := os.WriteFile(body, frame, 0o600); err != nil {
		return Scenario{}, err
	}
	load := measure.H2Load{
		Method: rig.Method, Body: body, Connections: b.plan.connections, Streams: b.plan.streams,
		CPUs: b.all, Log: b.rig.Path("h2load.log"),
	}
	found, err := interleave(pairs, noop, postern, func(s *rig.Server) (Sample, error) {
		return b.measure(ctx, s, frame, k.want, func(ctx context.Context, s *rig.Server) (measure.Load, error) {
			load.Address = s.Address
			return load.Run(ctx)
		})
	}, func(s *rig.Server) error {
		load.Address, load.Requests = s.Address, 200*b.plan.connections
		warm, err := load.Run(ctx)
		load.Requests = enough(warm, b.plan.length)
		return err
	})
	if err != nil {
		return Scenario{}, err
	}
	s := newScenario(name, fmt.Sprintf("h2load, %d × %d", load.Connections, load.Streams), found)
	fmt.Fprintf(b.log, "  %d bytes; CPU %.1f → %.1f µs, ratio %.2f (%.2f–%.2f); p99 ratio %.2f; %.0f → %.0f /s\n", len(frame),
		found[0].Noop.CPU, found[0].Postern.CPU, s.Ratios.CPU.Median, s.Ratios.CPU.Min, s.Ratios.CPU.Max, s.Ratios.P99.Median,
		found[0].Noop.PerSecond, found[0].Postern.PerSecond)
	return s, nil
}

// enough is how many requests take about so long, by the rate of those before.
func enough(before measure.Load, length time.Duration) int {
	rate := float64(before.Requests) / before.Elapsed.Seconds()
	return max(1000, int(rate*length.Seconds()))
}
