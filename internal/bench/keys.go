package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

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
}

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
	p, err := b.rig.StartPostern(ctx, rig.Options{CPUs: b.all, CacheSize: 2 * n, Env: []string{watched, fmt.Sprint("GOGC=", frequent)}})
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
	result := Keys{Keys: n, Rate: b.plan.gcRate}
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
	if result.Memory, err = measure.Memory(p.PID()); err != nil {
		return err
	}
	fmt.Fprintf(b.log, "  %.0f bytes of heap a key; CPU %.1f µs, p99 %.0f µs over %d keys\n", result.BytesPerKey, result.CPU.Median, result.P99.Median, result.Hot)
	b.results.Keys = append(b.results.Keys, result)
	return b.collections(ctx, p, raw, want, frequent, b.plan.gcLength)
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
		return fmt.Errorf("ask for each key once: %d of %d were allowed, %d denied", n, len(raw), result.Count(0, load.Denied))
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
			least = min(least, now.Sum("go_memstats_next_gc_bytes", nil)*100/(100+float64(frequent)))
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
