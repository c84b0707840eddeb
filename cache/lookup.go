package cache

import (
	"context"

	"postern/authz"
)

// Lookup is a tier with the fetch behind it: an authz.Source.
type Lookup[K comparable, V any] struct {
	*Tier[K, V]
	// Behind asks the store for one key.
	Behind func(context.Context, K) (V, authz.Presence, error)
}

// Load asks the store, shared and bounded as Tier.Load says.
func (l Lookup[K, V]) Load(ctx context.Context, key K) (V, authz.Presence, error) {
	return l.Tier.Load(ctx, key, func(ctx context.Context) (V, authz.Presence, error) {
		return l.Behind(ctx, key)
	})
}
