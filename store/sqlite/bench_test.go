package sqlite_test

import (
	"crypto/rand"
	"errors"
	"math"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
	"postern/store/sqlite"
)

// BenchmarkAnUnknownKeyIsLookedUp is what each request of a flood of unknown keys
// costs the store.
func BenchmarkAnUnknownKeyIsLookedUp(b *testing.B) {
	s := open(b, sqlite.Options{Path: migrated(b)})
	b.ReportAllocs()
	for b.Loop() {
		var digest identity.Digest
		_, _ = rand.Read(digest[:])
		if _, err := s.KeyByDigest(b.Context(), digest); !errors.Is(err, store.ErrNotFound) {
			b.Fatal(err)
		}
	}
}

// BenchmarkReserve is what metered requests cost the store, of several callers at
// once: each is charged in a transaction that is flushed to the disk.
func BenchmarkReserve(b *testing.B) {
	s := open(b, sqlite.Options{Path: migrated(b)})
	create(b, s, "org")
	if _, err := s.TopUp(b.Context(), "bench", "org", math.MaxInt32, "", time.Time{}); err != nil {
		b.Fatal(err)
	}
	var requests atomic.Int64
	b.SetParallelism(4)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, charged, err := s.Reserve(b.Context(), store.Reservation{
				Org: "org", Key: "key", RequestID: strconv.FormatInt(requests.Add(1), 10), Cost: 1, Note: "bench", At: time.Unix(0, 0),
			})
			if err != nil || !charged {
				b.Error(charged, err)
			}
		}
	})
}
