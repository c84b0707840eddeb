package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"postern/authz/credential"
	"postern/internal/bench/load"
	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
)

// Collections is what requests wait that are sent during a garbage collection, beside
// those that are not, with so many keys in the cache.
type Collections struct {
	Keys     int     `json:"keys"`
	GOGC     int     `json:"gogc"`
	Cycles   int     `json:"cycles"`
	CycleMS  float64 `json:"median_cycle_ms"`
	Share    float64 `json:"share_of_requests_in_a_cycle"`
	P99      float64 `json:"p99_us"` // of all
	P99In    float64 `json:"p99_in_a_cycle_us"`
	P99Out   float64 `json:"p99_outside_us"`
	P999In   float64 `json:"p999_in_a_cycle_us"`
	P999Out  float64 `json:"p999_outside_us"`
	Requests int     `json:"requests"`
	Late     int     `json:"not_answered_within_the_deadline"`
}

// The GOGC of the servers that are watched: one with which collections are frequent,
// and the one that Postern gives itself, and more, where none is set.
const (
	frequent = 20
	usual    = 400
)

// watched makes a server trace its collections.
const watched = "GODEBUG=gctrace=1"

// strangers, a second, make the server allocate. It would not collect for minutes
// otherwise, and where it has its usual GOGC it still does so seldom.
const strangers = 1000

// runCollections watches servers at their usual GOGC for long enough to see some cycles.
func (b *bench) runCollections(ctx context.Context) error {
	for _, n := range b.plan.usualCounts {
		if name := fmt.Sprint("collections/", n); b.wanted(name) {
			if err := b.usualCollections(ctx, n); err != nil {
				if err := b.lost(ctx, name, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) usualCollections(ctx context.Context, n int) error {
	p, err := b.rig.StartPostern(ctx, rig.Options{CPUs: b.all, CacheSize: 2 * n, Env: []string{watched}})
	if err != nil {
		return err
	}
	defer p.Stop()
	have, err := p.Seed(ctx)
	if err != nil {
		return err
	}
	raw, err := p.Keys(ctx, n)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, p, raw); err != nil {
		return err
	}
	return b.collections(ctx, p, raw, cachedKey(have).want, usual, b.plan.usualLength)
}

// collections adds what the requests of so long wait.
func (b *bench) collections(ctx context.Context, p *rig.Postern, raw []string, want expectation, gogc int, length time.Duration) error {
	c, err := b.collect(ctx, p, raw[:min(len(raw), 1000)], want, length)
	if err != nil {
		return err
	}
	c.Keys, c.GOGC = len(raw), gogc
	fmt.Fprintf(b.log, "  GOGC %d: p99 in %d collections %.0f µs, outside %.0f µs, of all %.0f µs\n", c.GOGC, c.Cycles, c.P99In, c.P99Out, c.P99)
	b.results.Collections = append(b.results.Collections, c)
	return nil
}

// collect sends a steady load to a few keys and tells requests that met a collection
// from those that did not.
func (b *bench) collect(ctx context.Context, p *rig.Postern, hot []string, want expectation, length time.Duration) (Collections, error) {
	trace, err := measure.FollowGC(p.Log())
	if err != nil {
		return Collections{}, err
	}
	o := load.Options{Address: p.Address, Method: rig.Method, Connections: b.plan.connections, Rate: b.plan.gcRate,
		Requests: int(b.plan.gcRate * length.Seconds()), Message: keyFrames(hot)}
	beside, err := b.strange(p)
	if err != nil {
		return Collections{}, err
	}
	beside.Rate, beside.Requests = strangers, int(strangers*length.Seconds())
	strange := make(chan error, 1)
	go func() { _, err := load.Send(ctx, beside); strange <- err }()
	result, err := load.Send(ctx, o)
	cycles := trace.Stop()
	if err := errors.Join(err, <-strange); err != nil {
		return Collections{}, err
	}
	const share = 0.999 // the others came after their deadline, and are told
	n := result.Count(0, load.Allowed)
	if float64(n) < share*float64(o.Requests) {
		return Collections{}, fmt.Errorf("%d of %d requests were allowed, %d denied", n, o.Requests, result.Count(0, load.Denied))
	}
	gc := divide(result, cycles)
	gc.Late = o.Requests - n
	return gc, nil
}

// divide sorts the answers by whether a cycle was under way when they were asked for.
// All that overlap one would be too many: the longer a request takes, for whatever
// reason, the more likely it overlaps.
func divide(result load.Result, cycles []measure.Cycle) Collections {
	var in, out, lengths []time.Duration
	for _, c := range cycles {
		lengths = append(lengths, c.Took)
	}
	for _, a := range result.Answers {
		began := result.Began.Add(a.At)
		met := false
		for _, c := range cycles {
			met = met || (!began.Before(c.Began) && began.Before(c.Began.Add(c.Took)))
		}
		if met {
			in = append(in, a.Took)
		} else {
			out = append(out, a.Took)
		}
	}
	inside, outside, all := measure.Percentiles(in), measure.Percentiles(out), measure.Percentiles(slices.Concat(in, out))
	return Collections{
		Cycles: len(cycles), CycleMS: micros(measure.Percentiles(lengths).P50) / 1000,
		Share: float64(len(in)) / float64(len(result.Answers)), Requests: len(result.Answers),
		P99: micros(all.P99), P99In: micros(inside.P99), P99Out: micros(outside.P99), P999In: micros(inside.P999), P999Out: micros(outside.P999),
	}
}

// strange is a load of keys that nobody has.
func (b *bench) strange(p *rig.Postern) (load.Options, error) {
	format := credential.Format{Layout: credential.Opaque, Prefix: "api_", Checksum: true, Hash: credential.SHA256}
	raw := make([]string, 20_000)
	for i := range raw {
		minted, err := format.Mint(rand.Reader)
		if err != nil {
			return load.Options{}, err
		}
		raw[i] = minted.Raw.Reveal()
	}
	return load.Options{Address: p.Address, Method: rig.Method, Connections: 1, Streams: b.plan.streams, Message: keyFrames(raw)}, nil
}
