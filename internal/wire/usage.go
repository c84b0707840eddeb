package wire

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"postern/authz/identity"
)

// The usage of keys is gathered in memory and written now and then: a crash loses
// at most one interval, and more keys than the bound in one interval are not
// counted.
const (
	usageInterval = 5 * time.Second
	usageBound    = 100_000
	usageShards   = 16
)

// usages is where the counts go.
type usages interface {
	AddUsage(ctx context.Context, usages []identity.Usage) error
}

// usageGatherer gathers how often each key was allowed, off the store's path.
type usageGatherer struct {
	to     usages
	log    *slog.Logger
	shards [usageShards]usageShard
}

type usageShard struct {
	mu   sync.Mutex
	keys map[identity.KeyID]*identity.Usage
	_    [40]byte // a cache line apart from the next
}

func newUsageGatherer(to usages, log *slog.Logger) *usageGatherer {
	g := &usageGatherer{to: to, log: log}
	for i := range g.shards {
		g.shards[i].keys = map[identity.KeyID]*identity.Usage{}
	}
	return g
}

// note counts one use; the id's last bytes are random, so they spread the keys.
func (g *usageGatherer) note(key identity.KeyID, at time.Time) {
	if key == "" {
		return
	}
	shard := &g.shards[key[len(key)-1]%usageShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	u, known := shard.keys[key]
	if !known {
		if len(shard.keys) >= usageBound/usageShards {
			return
		}
		u = &identity.Usage{Key: key}
		shard.keys[key] = u
	}
	u.Count++
	u.LastAt = at
}

// run writes until the context ends, and once more then.
func (g *usageGatherer) run(ctx context.Context) {
	tick := time.NewTicker(usageInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.flush(ctx)
		case <-ctx.Done():
			g.flush(context.WithoutCancel(ctx))
			return
		}
	}
}

// flush writes what was gathered. What cannot be written is lost: counting must
// not hold the server up.
func (g *usageGatherer) flush(ctx context.Context) {
	var batch []identity.Usage
	for i := range g.shards {
		shard := &g.shards[i]
		shard.mu.Lock()
		for _, u := range shard.keys {
			batch = append(batch, *u)
		}
		clear(shard.keys)
		shard.mu.Unlock()
	}
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := g.to.AddUsage(ctx, batch); err != nil {
		g.log.Warn("the usage of keys could not be written and is lost", "keys", len(batch), "error", err)
	}
}
