package sqlite_test

import (
	"crypto/rand"
	"errors"
	"testing"

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
