package token

import (
	"sync"
	"time"

	"postern/authz/identity"
)

const shards = 16

// cache keeps what was found of tokens with a good signature, by their digest, until
// an absolute time: claims, or nil for a token that had expired. Forgeries are not
// kept, so they displace nothing. A full shard forgets its older half: what is lost
// is verified again.
type cache struct {
	half   int // entries in each half of a shard
	shards [shards]shard
}

type shard struct {
	mu               sync.RWMutex
	current, earlier map[identity.Digest]entry
}

type entry struct {
	claims *Claims
	until  time.Time
}

func newCache(size int) *cache {
	return &cache{half: max(1, size/(2*shards))}
}

func (c *cache) get(digest identity.Digest, now time.Time) (*Claims, bool) {
	s := &c.shards[digest[0]%shards]
	s.mu.RLock()
	found, ok := s.current[digest]
	if !ok {
		found, ok = s.earlier[digest]
	}
	s.mu.RUnlock()
	if !ok || !now.Before(found.until) {
		return nil, false
	}
	return found.claims, true
}

// has reports whether the token is remembered, however old.
func (c *cache) has(digest identity.Digest) bool {
	s := &c.shards[digest[0]%shards]
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.current[digest]
	if !ok {
		_, ok = s.earlier[digest]
	}
	return ok
}

func (c *cache) put(digest identity.Digest, claims *Claims, until time.Time) {
	s := &c.shards[digest[0]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || len(s.current) >= c.half {
		s.earlier, s.current = s.current, make(map[identity.Digest]entry)
	}
	s.current[digest] = entry{claims: claims, until: until}
}
