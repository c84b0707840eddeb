// Package viaenvoy measures what authentication costs through the real Envoy: none,
// Envoy's own filters, a stock server that allows everything, and Postern, each before
// the same client and with no upstream behind. It knows what is measured together and
// in which order; it must not know how the figures are shown.
package viaenvoy

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// The fronts that are compared with each other.
const (
	Stock   = "stock no-op"
	Postern = "postern"
)

// Options say what to measure with.
type Options struct {
	Root    string // the project's folder
	Envoy   string // the binary
	Postern string // the binary of the server
	Stock   string // the binary of the server that allows everything; it takes -listen ADDRESS
	State   string // a folder for configurations, logs and stores; its name is short, for there are sockets in it
	Short   bool   // only see that everything works; the figures say nothing
	Log     io.Writer
}

// Spread is the middle of several measurements, and how far they lie apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Row is what was measured of one front. Throughput and processor time are at
// saturation, the latencies at a fixed rate. Ratios are of measurements of the same
// round: to the stock server with the same Envoy, over the same transport where the
// front has one, and otherwise over TCP.
type Row struct {
	Front       string `json:"front"`       // no auth, api_key_auth, jwt_authn, stock no-op, postern
	Transport   string `json:"transport"`   // tcp or unix; empty: there is no server
	Concurrency int    `json:"concurrency"` // Envoy's threads
	Rounds      int    `json:"rounds"`
	Other       int    `json:"not_answered_by_200"` // requests, of all rounds

	Throughput Spread `json:"requests_per_second"`
	Rate       int    `json:"fixed_rate"` // requests a second, for the latencies
	P50        Spread `json:"p50_us"`
	P99        Spread `json:"p99_us"`
	AddedP50   Spread `json:"added_p50_us"` // over no auth, in the same round
	EnvoyCPU   Spread `json:"envoy_cpu_us"` // microseconds for a request
	ServerCPU  Spread `json:"server_cpu_us"`

	ThroughputRatio Spread `json:"throughput_ratio"`
	P50Ratio        Spread `json:"p50_ratio"`
	CPURatio        Spread `json:"cpu_ratio"` // of Envoy and the server together
	ServerCPURatio  Spread `json:"server_cpu_ratio"`
}

// plan says how long and how often is measured.
type plan struct {
	rounds      int
	length      time.Duration // of one load
	concurrency []int
	clients     int // at saturation
	pace        int // clients at a fixed rate
}

func planOf(short bool) plan {
	if short {
		return plan{rounds: 1, length: 200 * time.Millisecond, concurrency: []int{1, 2}, clients: 8, pace: 2}
	}
	return plan{rounds: 7, length: 1500 * time.Millisecond, concurrency: []int{1, 2}, clients: 32, pace: 5}
}

// sample is one front in one round.
type sample struct {
	throughput, p50, p99, envoyCPU, serverCPU float64
	other                                     int
}

// Measure starts the servers and in each round an Envoy with all fronts, sees that each
// answers as it should, and measures them in turn, in an order that shifts from round to
// round, so that what the machine does meanwhile falls on all of them. A front of one
// Envoy can be a fifth slower than the same front of another, for as long as both run,
// so each round has a new one.
func Measure(ctx context.Context, o Options) (_ []Row, err error) {
	p := planOf(o.Short)
	s := &site{options: o}
	defer s.stop()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	var all []front
	var samples [][]sample
	for _, threads := range p.concurrency {
		var fronts []front
		var measured [][]sample
		for round := range p.rounds {
			if fronts, err = s.round(ctx, p, threads, round, &measured); err != nil {
				return nil, err
			}
		}
		all, samples = append(all, fronts...), append(samples, measured...)
	}
	return rows(all, samples, p), nil
}

// round measures each front of a new Envoy once, and adds to what was measured.
func (s *site) round(ctx context.Context, p plan, threads, round int, measured *[][]sample) ([]front, error) {
	fronts, stop, err := s.startEnvoy(ctx, threads, round)
	if err != nil {
		return nil, err
	}
	defer stop()
	if *measured == nil {
		*measured = make([][]sample, len(fronts))
	}
	for i := range fronts {
		at := (i + round*3) % len(fronts)
		if err := fronts[at].verify(ctx); err != nil {
			return nil, err
		}
		one, err := fronts[at].measure(ctx, p, filepath.Join(s.options.State, "requests.log"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fronts[at].title(), err)
		}
		(*measured)[at] = append((*measured)[at], one)
		fmt.Fprintf(s.options.Log, "round %d: %-24s %6.0f requests/s, p50 %4.0f µs, CPU of Envoy %3.0f µs, of the server %3.0f µs\n",
			round+1, fronts[at].title(), one.throughput, one.p50, one.envoyCPU, one.serverCPU)
	}
	return fronts, nil
}

// measure loads a front as fast as it answers, and then at the fixed rate.
func (f *front) measure(ctx context.Context, p plan, log string) (sample, error) {
	warm := load{url: f.url, headers: f.headers(), clients: p.clients, length: p.length / 5}
	if _, err := warm.run(ctx); err != nil {
		return sample{}, err
	}
	before, err := f.cpu()
	if err != nil {
		return sample{}, err
	}
	fast, err := load{url: f.url, headers: f.headers(), clients: p.clients, length: p.length}.run(ctx)
	if err != nil {
		return sample{}, err
	}
	after, err := f.cpu()
	if err != nil {
		return sample{}, err
	}
	paced, err := load{url: f.url, headers: f.headers(), length: p.length, log: log}.paced(ctx, p.pace)
	if err != nil {
		return sample{}, err
	}
	each := func(i int) float64 {
		return float64(after[i]-before[i]) / float64(time.Microsecond) / float64(fast.requests)
	}
	return sample{
		throughput: fast.rate, p50: percentile(paced.took, 50), p99: percentile(paced.took, 99),
		envoyCPU: each(0), serverCPU: each(1), other: fast.other + paced.other,
	}, nil
}

// cpu is the processor time of Envoy and of the server.
func (f *front) cpu() (both [2]time.Duration, err error) {
	for i, pid := range []int{f.envoyPID, f.serverPID} {
		if both[i], err = cpu(pid); err != nil {
			return both, err
		}
	}
	return both, nil
}

// rows sums up what was measured of each front.
func rows(fronts []front, samples [][]sample, p plan) []Row {
	find := func(name, transport string, concurrency int) []sample {
		for i, f := range fronts {
			if f.name == name && f.transport == transport && f.concurrency == concurrency {
				return samples[i]
			}
		}
		return nil
	}
	var all []Row
	for i, f := range fronts {
		base, over := find(noAuth, "", f.concurrency), f.transport
		if over == "" {
			over = tcp
		}
		stock := find(stock, over, f.concurrency)
		spread := func(of func(round int, one sample) float64) Spread {
			var values []float64
			for round, one := range samples[i] {
				values = append(values, of(round, one))
			}
			return spreadOf(values)
		}
		other := 0
		for _, one := range samples[i] {
			other += one.other
		}
		all = append(all, Row{
			Other: other,
			Front: f.name, Transport: f.transport, Concurrency: f.concurrency, Rounds: len(samples[i]), Rate: p.pace * pacePerClient,
			Throughput:      spread(func(_ int, one sample) float64 { return one.throughput }),
			P50:             spread(func(_ int, one sample) float64 { return one.p50 }),
			P99:             spread(func(_ int, one sample) float64 { return one.p99 }),
			AddedP50:        spread(func(round int, one sample) float64 { return one.p50 - base[round].p50 }),
			EnvoyCPU:        spread(func(_ int, one sample) float64 { return one.envoyCPU }),
			ServerCPU:       spread(func(_ int, one sample) float64 { return one.serverCPU }),
			ThroughputRatio: spread(func(round int, one sample) float64 { return ratio(one.throughput, stock[round].throughput) }),
			P50Ratio:        spread(func(round int, one sample) float64 { return ratio(one.p50, stock[round].p50) }),
			CPURatio: spread(func(round int, one sample) float64 {
				return ratio(one.envoyCPU+one.serverCPU, stock[round].envoyCPU+stock[round].serverCPU)
			}),
			ServerCPURatio: spread(func(round int, one sample) float64 { return ratio(one.serverCPU, stock[round].serverCPU) }),
		})
	}
	return all
}

// ratio of a measurement to one that is too small to be seen is none, 0.
func ratio(one, other float64) float64 {
	if other == 0 {
		return 0
	}
	return one / other
}
