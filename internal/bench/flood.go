package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"postern/authz/credential"
	"postern/internal/bench/load"
	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
)

// Flood is a good key's traffic beside nine times as many unknown keys, compared
// with the same traffic alone.
type Flood struct {
	Format    string         `json:"format"`
	GoodRate  float64        `json:"good_per_second"`
	FloodRate float64        `json:"flood_per_second"`
	QuietP99  measure.Spread `json:"quiet_p99_us"`
	FloodP99  measure.Spread `json:"flood_p99_us"`
	Ratio     measure.Spread `json:"p99_ratio"`
	Refused   int            `json:"good_refused"`
	Failed    int            `json:"good_failed"` // without an answer
	Unknown   int            `json:"unknown_denied"`
}

// The classes of the traffic: every tenth request is a good one.
const (
	good    = 0
	unknown = 1
	share   = 10
)

// runFlood measures each format of keys.
func (b *bench) runFlood(ctx context.Context) error {
	if !b.any("flood/") {
		return nil
	}
	p, err := b.startPair(ctx, rig.Options{CPUs: b.all}, "")
	if err != nil {
		return err
	}
	defer p.stop()
	for _, hash := range slices.Sorted(maps.Keys(b.plan.floodRates)) {
		if !b.wanted("flood/" + hash) {
			continue
		}
		if err := b.flood(ctx, p, hash, b.plan.floodRates[hash]); err != nil {
			if err := b.lost(ctx, "flood/"+hash, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) flood(ctx context.Context, p *pairOfServers, hash string, rate float64) error {
	n := int(rate * b.plan.floodLength.Seconds())
	kinds := allowedKinds(p.have)
	target, format := kinds[0], credential.Format{Layout: credential.Opaque, Prefix: "api_", Checksum: true, Hash: credential.SHA256}
	if hash == "bcrypt" { // a pair that nobody has is as long, however its hash would be kept
		target, format = kinds[2], credential.Format{Layout: credential.Pair, Hash: credential.SHA256}
	}
	goodFrame, err := target.request.Frame()
	if err != nil {
		return err
	}
	result := Flood{Format: hash, GoodRate: rate / share, FloodRate: rate - rate/share}
	var quiet, loud, ratios []float64
	for range b.plan.pairs {
		frames, err := render(n, func(i int) (rig.Request, error) {
			minted, err := format.Mint(rand.Reader)
			request := target.request
			request.Headers = bearer(minted.Raw.Reveal())
			return request, err
		})
		if err != nil {
			return err
		}
		if err := verify(ctx, p.postern.Server, goodFrame, target.want); err != nil {
			return err
		}
		alone := load.Options{Address: p.postern.Address, Method: rig.Method, Connections: b.plan.connections, Rate: rate / share,
			Requests: n / share, Message: func(int) ([]byte, int) { return goodFrame, good }}
		before, err := load.Send(ctx, alone)
		if err != nil {
			return err
		}
		// A turn of each connection is a good one, so that all of them carry some.
		beside := alone
		beside.Rate, beside.Requests = rate, n
		beside.Message = func(i int) ([]byte, int) {
			if (i/b.plan.connections)%share == 0 {
				return goodFrame, good
			}
			return frames[i], unknown
		}
		after, err := b.judgeFlood(ctx, p, beside, target.want)
		if err != nil {
			return err
		}
		quiet = append(quiet, micros(measure.Percentiles(before.Took(good)).P99))
		loud = append(loud, micros(measure.Percentiles(after.Took(good)).P99))
		ratios = append(ratios, loud[len(loud)-1]/quiet[len(quiet)-1])
		for _, r := range []load.Result{before, after} {
			result.Refused += r.Count(good, load.Denied)
			result.Failed += r.Count(good, load.Failed)
		}
		result.Unknown += after.Count(unknown, load.Denied)
	}
	result.QuietP99, result.FloodP99, result.Ratio = measure.SpreadOf(quiet...), measure.SpreadOf(loud...), measure.SpreadOf(ratios...)
	fmt.Fprintf(b.log, "  good %.0f/s beside %.0f/s: p99 %.0f µs to %.0f quiet, ratio %.2f (%.2f–%.2f); refused %d, failed %d; unknown denied %d\n",
		result.GoodRate, result.FloodRate, result.FloodP99.Median, result.QuietP99.Median, result.Ratio.Median, result.Ratio.Min, result.Ratio.Max,
		result.Refused, result.Failed, result.Unknown)
	b.results.Floods = append(b.results.Floods, result)
	return nil
}

// judgeFlood sends the mixture and sees that it was one: no unknown key is allowed,
// and Postern decided as many good ones as it says.
func (b *bench) judgeFlood(ctx context.Context, p *pairOfServers, o load.Options, want expectation) (load.Result, error) {
	before, err := p.postern.Metrics(ctx)
	if err != nil {
		return load.Result{}, err
	}
	result, err := load.Send(ctx, o)
	if err != nil {
		return result, err
	}
	after, err := p.postern.Metrics(ctx)
	if err != nil {
		return result, err
	}
	if n := result.Count(unknown, load.Allowed); n > 0 {
		return result, fmt.Errorf("%d unknown keys were allowed", n)
	}
	count := func(reason string) int {
		labels := map[string]string{"profile": want.profile, "reason": reason}
		return int(after.Sum("postern_checks_total", labels) - before.Sum("postern_checks_total", labels))
	}
	if allowed := count("allowed"); allowed < result.Count(good, load.Allowed) {
		return result, fmt.Errorf("postern allowed %d requests; %d allows arrived: the wrong thing was measured", allowed, result.Count(good, load.Allowed))
	}
	if refused := count("invalid_credential") + count("overloaded") + count("unavailable"); refused < result.Count(unknown, load.Denied) {
		return result, fmt.Errorf("postern refused %d unknown keys; %d denials arrived: the wrong thing was measured", refused, result.Count(unknown, load.Denied))
	}
	return result, nil
}
