package wire

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"postern/authz"
	"postern/authz/identity"
)

func TestACachedKeySaysWhatItsRecordSays(t *testing.T) {
	full := identity.Key{
		ID: "k1", Org: "o1", User: "ada", Profile: "authenta", Environment: "production", Grants: identity.NewGrants("READ", "WRITE"),
		Digest: identity.DigestOf("raw"), ExpiresAt: time.Unix(1_800_000_000, 1000).UTC(), RevokedAt: time.Unix(1_700_000_000, 0).UTC(),
		Disabled: true, Revision: 7,
	}
	for name, key := range map[string]identity.Key{
		"a full one": full, "an empty one": {Digest: full.Digest},
		"one that expired before time began": {Digest: full.Digest, ExpiresAt: time.Unix(0, 1).UTC()},
	} {
		packed := pack(&key)
		if got := packed.unpack(full.Digest); got != key {
			t.Errorf("%s: %+v, want %+v", name, got, key)
		}
		text, err := json.Marshal(packed)
		var read packedKey
		if err != nil || json.Unmarshal(text, &read) != nil || read.unpack(full.Digest) != key {
			t.Errorf("%s: through the shared cache: %s, %v", name, text, err)
		}
	}
	for name, at := range map[string]time.Time{"year 1000": time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC), "1970": time.Unix(0, 0)} {
		past := identity.Key{RevokedAt: at, ExpiresAt: at}
		packed := pack(&past)
		if got := packed.unpack(full.Digest); got.RevokedAt.IsZero() || got.ExpiresAt.IsZero() || got.ExpiresAt.After(time.Unix(1, 0)) {
			t.Errorf("%s becomes %v", name, got.RevokedAt)
		}
	}
	never := identity.Key{ExpiresAt: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
	packed := pack(&never)
	if got := packed.unpack(full.Digest); got.ExpiresAt.Before(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("year 9999 becomes %v", got.ExpiresAt)
	}
}

// cachedKeys fills a tier with keys as a store returns them, each in memory of its own.
func cachedKeys(t testing.TB, n int) (*caches, []identity.Digest, time.Time) {
	now := time.Unix(1_800_000_000, 0)
	c, err := newCaches(10*time.Second, time.Second, 2*n, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	c.fence.Extend(now.Add(time.Hour))
	digests := make([]identity.Digest, n)
	for i := range digests {
		digests[i] = identity.DigestOf(fmt.Sprint("key ", i))
	}
	order := rand.Perm(n) // not the order they are looked up in
	for _, i := range order {
		key := identity.Key{
			ID: identity.KeyID(fmt.Sprintf("key_%020d", i)), Org: identity.OrgID(fmt.Sprint("org_", i%1000)), Profile: "authenta", Environment: "production",
			Grants: identity.NewGrants("READ", "WRITE"), Digest: digests[i], Revision: identity.Revision(i),
		}
		_, _, err := c.keys.Load(t.Context(), digests[i], func(context.Context) (packedKey, authz.Presence, error) { return pack(&key), authz.Found, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	return c, digests, now
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what the first one freed the handles of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestACachedKeyTakesAtMost300Bytes(t *testing.T) {
	const n = 100_000
	before := heap()
	c, digests, now := cachedKeys(t, n)
	time.Sleep(100 * time.Millisecond) // the cache puts itself in order
	each := float64(heap()-before)/n - float64(len(digests[0]))
	if each > 300 {
		t.Errorf("%.0f bytes a key", each)
	}
	t.Logf("%.0f bytes a key", each)
	for _, digest := range digests {
		if _, presence := (keys{c.keys, nil}).Cached(digest, now); presence != authz.Found {
			t.Fatal("a key was displaced")
		}
	}
}

// BenchmarkLookUp is a look-up of a cached key among so many, each as likely.
func BenchmarkLookUp(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			before := heap()
			c, digests, now := cachedKeys(b, n)
			time.Sleep(200 * time.Millisecond)
			each := float64(heap()-before)/float64(n) - float64(len(digests[0]))
			k, i := keys{c.keys, nil}, 0
			b.ReportAllocs()
			for b.Loop() {
				if _, presence := k.Cached(digests[i], now); presence != authz.Found {
					b.Fatal("a key was displaced")
				}
				if i++; i == n {
					i = 0
				}
			}
			b.ReportMetric(each, "B/key")
		})
	}
}
