package main

import (
	"context"
	"errors"
	"fmt"

	"postern/internal/bench/load"
	"postern/internal/bench/rig"
	"postern/internal/testenv"
)

// database is the store of the servers that share one.
const database = "postern"

// runShared measures what PostgreSQL and Redis cost: a metered route, keys that
// another replica has put into Redis, and keys that only PostgreSQL knows.
func (b *bench) runShared(ctx context.Context) (err error) {
	if !b.any("metered/postgres", "shared/") {
		return nil
	}
	postgres, err := testenv.StartPostgres(ctx, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, postgres.Stop()) }()
	if err := postgres.EnsureDatabase(ctx, database); err != nil {
		return err
	}
	redis, err := testenv.StartRedis(ctx, b.rig.Path("redis"))
	if err != nil {
		return err
	}
	defer redis.Stop()
	o := rig.Options{CPUs: b.all, Store: postgres.URL(database), Cache: redis.URL()}
	p, err := b.startPair(ctx, o, "")
	if err != nil {
		return err
	}
	defer p.stop()
	if err := b.runMetered(ctx, p, "postgres"); err != nil {
		return err
	}
	other, err := b.rig.StartPostern(ctx, o)
	if err != nil {
		return err
	}
	defer other.Stop()
	return b.runLayers(ctx, p, other)
}

// runLayers asks the first replica for keys that it does not remember: those that the
// other has just looked up, and those that nobody has.
func (b *bench) runLayers(ctx context.Context, p *pairOfServers, other *rig.Postern) error {
	if !b.any("shared/") {
		return nil
	}
	want := allows("authenta", "allowed")
	known, err := b.freshKeys(ctx, p.postern)
	if err != nil {
		return err
	}
	unasked, err := b.freshKeys(ctx, p.postern)
	if err != nil {
		return err
	}
	n := len(known) - 1
	warm := load.Options{
		Method: rig.Method, Connections: b.plan.connections, Rate: b.plan.rate, Requests: n,
		Message: func(i int) ([]byte, int) { return known[i], 0 },
	}
	for _, layer := range []struct {
		name, event string
		frames      [][]byte
		before      func() error
	}{
		{"shared/not remembered, in Redis", "hit", known, func() error { _, err := send(warm, want)(ctx, other.Server); return err }},
		{"shared/not in Redis, in PostgreSQL", "miss", unasked, nil},
	} {
		if !b.wanted(layer.name) {
			continue
		}
		before, err := p.postern.Metrics(ctx)
		if err != nil {
			return err
		}
		s, err := b.distinct(ctx, b.subject(layer.name, p.noop, p.postern.Server, kind{want: want}, b.plan.few), b.plan.rate, layer.frames, layer.before)
		if err != nil {
			if err := b.lost(ctx, layer.name, err); err != nil {
				return err
			}
			continue
		}
		after, err := p.postern.Metrics(ctx)
		if err != nil {
			return err
		}
		const counter = "postern_shared_cache_events_total"
		labels := map[string]string{"event": layer.event}
		if seen := after.Sum(counter, labels) - before.Sum(counter, labels); int(seen) < n*b.plan.few {
			return fmt.Errorf("%s: %.0f of %d look-ups were a %s: the wrong thing was measured", layer.name, seen, n*b.plan.few, layer.event)
		}
		b.add(s)
	}
	return nil
}

// freshKeys are requests with a new key each: as many as are measured, and one more.
func (b *bench) freshKeys(ctx context.Context, p *rig.Postern) ([][]byte, error) {
	raw, err := p.Keys(ctx, b.requests(b.plan.rate)+1)
	if err != nil {
		return nil, err
	}
	return render(len(raw), func(i int) (rig.Request, error) { return get("authenta", jobs, bearer(raw[i])), nil })
}
