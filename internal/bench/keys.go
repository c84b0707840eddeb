package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"postern/authz/credential"
	"postern/internal/bench/load"
	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
)

// Keys is what so many cached keys cost.
type Keys struct {
	Keys        int            `json:"keys"`
	BytesPerKey float64        `json:"heap_bytes_per_key"`
	Memory      int64          `json:"memory_bytes"`
	Hot         int            `json:"hot_keys"` // that are rotated over
	Rate        float64        `json:"per_second"`
	CPU         measure.Spread `json:"cpu_us"`
	P99         measure.Spread `json:"p99_us"`
	GOGC        int            `json:"gogc"`
	GC          GC             `json:"gc"`
}

// GC is what requests during a garbage collection wait, beside those that meet none.
type GC struct {
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

// strangers, a second, make the server allocate. It would not collect for minutes
// otherwise, and where it has its usual GOGC it still does so seldom.
const strangers = 1000

// runKeys measures servers with more and more keys in their caches.
func (b *bench) runKeys(ctx context.Context) error {
	for _, n := range b.plan.keyCounts {
		if name := fmt.Sprint("keys/", n); b.wanted(name) {
			if err := b.cachedKeys(ctx, n); err != nil {
				if err := b.lost(ctx, name, err); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) cachedKeys(ctx context.Context, n int) error {
	p, err := b.rig.StartPostern(ctx, rig.Options{CPUs: b.all, CacheSize: 2 * n, Env: []string{"GODEBUG=gctrace=1", fmt.Sprint("GOGC=", b.gogc)}})
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
	result := Keys{Keys: n, Rate: b.plan.gcRate, GOGC: b.gogc}
	anchor := cachedKey(have)
	empty, err := b.liveHeap(ctx, p)
	if err != nil {
		return err
	}
	want := anchor.want
	if err := b.fill(ctx, p, raw); err != nil {
		return err
	}
	full, err := b.liveHeap(ctx, p)
	if err != nil {
		return err
	}
	result.BytesPerKey = (full - empty) / float64(n)
	if err := b.hotKeys(ctx, p, raw, want, &result); err != nil {
		return err
	}
	if result.GC, err = b.collect(ctx, p, raw[:min(n, 1000)], want); err != nil {
		return err
	}
	if result.Memory, err = measure.Memory(p.PID()); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "  %.0f bytes of heap a key; CPU %.1f µs, p99 %.0f µs over %d keys; p99 in %d collections %.0f µs, outside %.0f µs, of all %.0f µs\n",
		result.BytesPerKey, result.CPU.Median, result.P99.Median, result.Hot, result.GC.Cycles, result.GC.P99In, result.GC.P99Out, result.GC.P99)
	b.results.Keys = append(b.results.Keys, result)
	return nil
}

// fill asks for each key once. It measures nothing, so a few may be late.
func (b *bench) fill(ctx context.Context, p *rig.Postern, raw []string) error {
	const streams, share = 4, 0.999
	result, err := load.Send(ctx, load.Options{Address: p.Address, Method: rig.Method, Connections: b.plan.connections, Streams: streams,
		Requests: len(raw), Message: keyFrames(raw)})
	if err != nil {
		return fmt.Errorf("ask for each key once: %w", err)
	}
	if n := result.Count(0, load.Allowed); float64(n) < share*float64(len(raw)) {
		return fmt.Errorf("ask for each key once: %d of %d were allowed", n, len(raw))
	}
	fmt.Fprintf(b.log, "  asked for each key once in %v\n", result.Elapsed.Round(time.Second))
	return nil
}

// keyFrames renders a request with each key in turn; to hold all would take gigabytes.
func keyFrames(raw []string) func(int) ([]byte, int) {
	template := get("authenta", jobs, bearer(raw[0]))
	frame, err := template.Frame()
	if err != nil {
		panic(err) // a request of strings is always rendered
	}
	at := bytes.Index(frame, []byte(raw[0]))
	return func(i int) ([]byte, int) {
		own := append([]byte(nil), frame...)
		copy(own[at:], raw[i%len(raw)]) // all keys are of one length
		return own, 0
	}
}

// hotKeys measures a rotation over as many keys as can be asked for within the life
// of the caches, each of them asked for just before.
func (b *bench) hotKeys(ctx context.Context, p *rig.Postern, raw []string, want expectation, result *Keys) error {
	result.Hot = min(len(raw), b.requests(b.plan.gcRate))
	o := load.Options{Method: rig.Method, Connections: b.plan.connections, Streams: b.plan.streams, Requests: result.Hot, Message: keyFrames(raw[:result.Hot])}
	var cpu, p99 []float64
	for range b.plan.few {
		if err := b.fill(ctx, p, raw[:result.Hot]); err != nil { // forgotten ones are looked up again
			return err
		}
		steady := o
		steady.Rate, steady.Requests = b.plan.gcRate, b.requests(b.plan.gcRate)
		frame, _ := o.Message(0)
		sample, err := b.measure(ctx, p.Server, frame, want, send(steady, want))
		if err != nil {
			return err
		}
		cpu, p99 = append(cpu, sample.CPU), append(p99, sample.P99)
	}
	result.CPU, result.P99 = measure.SpreadOf(cpu...), measure.SpreadOf(p99...)
	return nil
}

// liveHeap is the least that one of several collections left which began after this
// call: the goal of the next one is in proportion to it.
func (b *bench) liveHeap(ctx context.Context, p *rig.Postern) (float64, error) {
	o, err := b.strange(p)
	if err != nil {
		return 0, err
	}
	o.Requests = strangers
	least := math.Inf(1)
	seen := map[float64]bool{} // when collections ended, the one before this call among them
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		now, err := p.Metrics(ctx)
		if err != nil {
			return 0, err
		}
		seen[now.Sum("go_memstats_last_gc_time_seconds", nil)] = true
		if len(seen) > 2 {
			least = min(least, now.Sum("go_memstats_next_gc_bytes", nil)*100/(100+float64(b.gogc)))
		}
		if len(seen) > b.plan.collections {
			return least, nil
		}
		if _, err := load.Send(ctx, o); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("not %d garbage collections in two minutes of load", b.plan.collections)
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

// collect sends a steady load to a few keys and tells requests that met a collection
// from those that did not.
func (b *bench) collect(ctx context.Context, p *rig.Postern, hot []string, want expectation) (GC, error) {
	trace, err := measure.FollowGC(p.Log())
	if err != nil {
		return GC{}, err
	}
	o := load.Options{Address: p.Address, Method: rig.Method, Connections: b.plan.connections, Rate: b.plan.gcRate,
		Requests: int(b.plan.gcRate * b.plan.gcLength.Seconds()), Message: keyFrames(hot)}
	beside, err := b.strange(p)
	if err != nil {
		return GC{}, err
	}
	beside.Rate, beside.Requests = strangers, int(strangers*b.plan.gcLength.Seconds())
	strange := make(chan error, 1)
	go func() { _, err := load.Send(ctx, beside); strange <- err }()
	result, err := load.Send(ctx, o)
	cycles := trace.Stop()
	if err := errors.Join(err, <-strange); err != nil {
		return GC{}, err
	}
	const share = 0.999 // the others came after their deadline, and are told
	n := result.Count(0, load.Allowed)
	if float64(n) < share*float64(o.Requests) {
		return GC{}, fmt.Errorf("%d of %d requests were allowed", n, o.Requests)
	}
	gc := divide(result, cycles)
	gc.Late = o.Requests - n
	return gc, nil
}

// divide sorts the answers by whether a cycle was under way when they were asked for.
// All that overlap one would be too many: the longer a request takes, for whatever
// reason, the more likely it overlaps.
func divide(result load.Result, cycles []measure.Cycle) GC {
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
	return GC{
		Cycles: len(cycles), CycleMS: micros(measure.Percentiles(lengths).P50) / 1000,
		Share: float64(len(in)) / float64(len(result.Answers)), Requests: len(result.Answers),
		P99: micros(all.P99), P99In: micros(inside.P99), P99Out: micros(outside.P99), P999In: micros(inside.P999), P999Out: micros(outside.P999),
	}
}
