package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
)

// expectation is what Postern must say of the requests of a load: a benchmark that
// measures something else fails.
type expectation struct {
	profile string
	reason  string
	allowed bool
}

// sender sends a load to a server, from the processors named.
type sender func(ctx context.Context, s *rig.Server) (measure.Load, error)

// measure sends a load to a server and sees what it cost. It asks once before, and
// counts after.
func (b *bench) measure(ctx context.Context, s *rig.Server, frame []byte, want expectation, send sender) (Sample, error) {
	if err := verify(ctx, s, frame, want); err != nil {
		return Sample{}, err
	}
	before, err := takeReading(ctx, s)
	if err != nil {
		return Sample{}, err
	}
	load, err := send(ctx, s)
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	after, err := takeReading(ctx, s)
	if err != nil {
		return Sample{}, err
	}
	if err := before.count(after, s, want, load.Requests); err != nil {
		return Sample{}, err
	}
	return before.sample(after, load), nil
}

// verify asks once, as an ordinary client. The stock server allows everything.
func verify(ctx context.Context, s *rig.Server, frame []byte, want expectation) error {
	allowed, reason, err := s.Ask(ctx, frame)
	switch {
	case err != nil:
		return err
	case s.Name == "noop" && !allowed:
		return fmt.Errorf("the stock server denied a request")
	case s.Name != "noop" && (allowed != want.allowed || reason != want.reason):
		return fmt.Errorf("postern says %q (allowed: %t) of the request and should say %q, see %s", reason, allowed, want.reason, s.Log())
	}
	return nil
}

// reading is what a server has used up to a moment.
type reading struct {
	cpu     time.Duration
	memory  int64
	metrics measure.Metrics
	scrape  float64 // objects that reading the metrics allocates
}

// takeReading looks at the metrics twice, so that their own cost is known, and at
// the processor time between the loads and them.
func takeReading(ctx context.Context, s *rig.Server) (r reading, err error) {
	cpu, err := measure.CPU(s.PID())
	if err != nil {
		return r, err
	}
	first, err := s.Metrics(ctx)
	if err != nil {
		return r, err
	}
	if r.metrics, err = s.Metrics(ctx); err != nil {
		return r, err
	}
	r.scrape = r.metrics.Mallocs() - first.Mallocs()
	if r.memory, err = measure.Memory(s.PID()); err != nil {
		return r, err
	}
	r.cpu = cpu
	return r, nil
}

// count compares what was decided with what was sent.
func (r reading) count(after reading, s *rig.Server, want expectation, n int) error {
	if s.Name == "noop" {
		return nil
	}
	const counter = "postern_checks_total"
	labels := map[string]string{"profile": want.profile, "reason": want.reason}
	all := after.metrics.Sum(counter, nil) - r.metrics.Sum(counter, nil)
	right := after.metrics.Sum(counter, labels) - r.metrics.Sum(counter, labels)
	if int(all) != n || int(right) != n {
		return fmt.Errorf("postern decided %.0f Checks, %.0f of them as %q of profile %q; %d were sent: the wrong thing was measured, see %s",
			all, right, want.reason, want.profile, n, s.Log())
	}
	return nil
}

// sample is the cost of a load between two readings.
func (r reading) sample(after reading, load measure.Load) Sample {
	n := float64(load.Requests)
	latency := measure.Percentiles(load.Took)
	return Sample{
		Requests: load.Requests, Seconds: load.Elapsed.Seconds(), PerSecond: n / load.Elapsed.Seconds(),
		CPU: micros(after.cpu-r.cpu) / n, Mallocs: (after.metrics.Mallocs() - r.metrics.Mallocs() - after.scrape) / n,
		P50: micros(latency.P50), P99: micros(latency.P99), P999: micros(latency.P999), Memory: after.memory,
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// interleave measures pairs of servers, first the one and then the other, and each
// time in the other order.
func interleave(pairs int, noop, postern *rig.Server, measure func(*rig.Server) (Sample, error)) ([]Pair, error) {
	var found []Pair
	for i := range pairs {
		order := []*rig.Server{noop, postern}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		var pair Pair
		for _, s := range order {
			sample, err := measure(s)
			if err != nil {
				pair.Repeated++ // it is told: a stall of the machine, or of the server
				if sample, err = measure(s); err != nil {
					return nil, err
				}
			}
			if s == noop {
				pair.Noop = sample
			} else {
				pair.Postern = sample
			}
		}
		found = append(found, pair)
	}
	return found, nil
}
