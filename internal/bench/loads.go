package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"postern/internal/bench/load"
	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
)

// subject is what a scenario measures: two servers, one kind of request, and how.
type subject struct {
	name          string
	noop, postern *rig.Server
	kind          kind
	pairs         int
	connections   int
	cpus          string // of the load
}

func (b *bench) subject(name string, noop, postern *rig.Server, k kind, pairs int) subject {
	return subject{name: name, noop: noop, postern: postern, kind: k, pairs: pairs, connections: b.plan.connections, cpus: b.all}
}

// add keeps a scenario and says the most important of it.
func (b *bench) add(s Scenario) {
	b.results.Scenarios = append(b.results.Scenarios, s)
	r := s.Ratios
	fmt.Fprintf(b.log, "  %s: CPU %.1f µs to %.1f, ratio %.2f (%.2f–%.2f); requests/s %.2f; p50 %.2f, p99 %.2f (%.2f–%.2f); mallocs %.2f\n",
		s.Load, s.Postern.CPU.Median, s.Noop.CPU.Median, r.CPU.Median, r.CPU.Min, r.CPU.Max, r.PerSecond.Median, r.P50.Median, r.P99.Median, r.P99.Min, r.P99.Max, r.Mallocs.Median)
}

// saturate sends one request again and again, as fast as it is answered, with h2load.
func (b *bench) saturate(ctx context.Context, s subject) (Scenario, error) {
	frame, err := s.kind.request.Frame()
	if err != nil {
		return Scenario{}, err
	}
	h := measure.H2Load{
		Method: rig.Method, Body: b.rig.Path("body"), Connections: s.connections, Streams: b.plan.streams,
		CPUs: s.cpus, Log: b.rig.Path("h2load.log"),
	}
	if err := os.WriteFile(h.Body, frame, 0o600); err != nil {
		return Scenario{}, err
	}
	found, err := interleave(s.pairs, s.noop, s.postern, func(server *rig.Server) (Sample, error) {
		h.Address, h.Requests = server.Address, 200*s.connections
		warm, err := h.Run(ctx)
		if err != nil {
			return Sample{}, err
		}
		h.Requests = enough(warm, b.plan.length)
		return b.measure(ctx, server, frame, s.kind.want, func(ctx context.Context, _ *rig.Server) (measure.Load, error) { return h.Run(ctx) })
	})
	return newScenario(s.name, fmt.Sprintf("%d × %d in flight", s.connections, b.plan.streams), found), err
}

// steady sends one request at a rate, with the own generator.
func (b *bench) steady(ctx context.Context, s subject, rate float64) (Scenario, error) {
	frame, err := s.kind.request.Frame()
	if err != nil {
		return Scenario{}, err
	}
	o := load.Options{Method: rig.Method, Connections: s.connections, Rate: rate, Message: func(int) ([]byte, int) { return frame, 0 }}
	found, err := interleave(s.pairs, s.noop, s.postern, func(server *rig.Server) (Sample, error) {
		o.Requests = max(100, int(rate/5))
		if _, err := send(o, s.kind.want)(ctx, server); err != nil {
			return Sample{}, err
		}
		o.Requests = b.requests(rate)
		return b.measure(ctx, server, frame, s.kind.want, send(o, s.kind.want))
	})
	return newScenario(s.name, perSecond(rate), found), err
}

func perSecond(rate float64) string { return fmt.Sprintf("%.0f requests/s", rate) }

// requests is how many make a measurement at the rate.
func (b *bench) requests(rate float64) int { return max(200, int(rate*b.plan.length.Seconds())) }

// send is a load of the own generator, all of which must be decided as wanted.
func send(o load.Options, want expectation) sender {
	return func(ctx context.Context, s *rig.Server) (measure.Load, error) {
		o.Address = s.Address
		result, err := load.Send(ctx, o)
		if err != nil {
			return measure.Load{}, err
		}
		verdict := load.Allowed
		if s.Name != "noop" && !want.allowed {
			verdict = load.Denied
		}
		if n := result.Count(0, verdict); n != o.Requests {
			return measure.Load{}, fmt.Errorf("%d of %d answers are what they should be; %d failed", n, o.Requests, result.Count(0, load.Failed))
		}
		return measure.Load{Requests: o.Requests, Elapsed: result.Elapsed, Took: result.Took(0)}, nil
	}
}

// enough is how many requests take about so long, by the rate of those before.
func enough(before measure.Load, length time.Duration) int {
	rate := float64(before.Requests) / before.Elapsed.Seconds()
	return max(500, int(rate*length.Seconds()))
}
