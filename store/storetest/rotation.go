package storetest

import (
	"fmt"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func rotationTests() []test {
	return []test{
		{"a rotated key goes on until the end of the overlap, and its successor is a key of its own", rotatedKey},
		{"the overlap never outlives the original's own expiry", overlapIsBounded},
		{"an unknown key is not rotated", rotateUnknown},
		{"a revoked key and a key with a successor are not rotated", rotateRefused},
		{"a successor that collides leaves the original as it is", rotateConflict},
		{"a successor needs its organization", rotateReference},
		{"of many who rotate a key at once exactly one does", contestedRotation},
		{"a successor may itself be rotated", rotatedTwice},
	}
}

func rotatedKey(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	want := addKey(t, s, key("old"))
	wantNew := key("new")
	wantNew.ExpiresAt, wantNew.CreatedAt = day(25), day(3)

	original, successor, err := s.RotateKey(ctx, operator, "old", wantNew, day(4))
	succeeds(t, err)
	if original.Revision <= want.Revision || successor.Revision <= want.Revision || original.Revision == successor.Revision {
		t.Errorf("revisions %d and %d do not follow %d", original.Revision, successor.Revision, want.Revision)
	}
	want.ExpiresAt, want.Successor, want.Revision = day(4), "new", original.Revision
	wantNew.Revision = successor.Revision
	equal(t, "original", original, want)
	equal(t, "successor", successor, wantNew)
	equal(t, "original found", must(s.KeyByDigest(ctx, want.Digest))(t), want)
	equal(t, "successor found", must(s.KeyByDigest(ctx, wantNew.Digest))(t), wantNew)
}

func overlapIsBounded(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	for name, c := range map[string]struct{ expires, until, want time.Time }{
		"never-expiring": {time.Time{}, day(9), day(9)},
		"expiring-later": {day(10), day(9), day(9)},
		"expiring-first": {day(8), day(9), day(8)},
		"long-expired":   {day(2), day(9), day(2)},
		"leaked":         {day(8), day(3), day(3)},
	} {
		k := key(identity.KeyID(name))
		k.ExpiresAt = c.expires
		addKey(t, s, k)
		original, _, err := s.RotateKey(t.Context(), operator, k.ID, key("after-"+k.ID), c.until)
		succeeds(t, err)
		equal(t, name+" expires", original.ExpiresAt, c.want)
	}
}

func rotateUnknown(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	addKey(t, s, key("key"))
	_, _, err := s.RotateKey(t.Context(), operator, "KEY", key("new"), day(9))
	wantError(t, err, store.ErrNotFound)
	fails(s.Key(t.Context(), "new"))(t, store.ErrNotFound)
}

func rotateRefused(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	revoked := key("revoked")
	revoked.RevokedAt = day(2)
	addKey(t, s, revoked)
	_, _, err := s.RotateKey(ctx, operator, "revoked", key("new"), day(9))
	wantError(t, err, store.ErrInvalid)

	addKey(t, s, key("rotated"))
	_, _, err = s.RotateKey(ctx, operator, "rotated", key("first"), day(3))
	succeeds(t, err)
	_, _, err = s.RotateKey(ctx, operator, "rotated", key("new"), day(9))
	wantError(t, err, store.ErrInvalid)
	equal(t, "expiry of the rotated", must(s.Key(ctx, "rotated"))(t).ExpiresAt, day(3))

	addKey(t, s, key("plain"))
	for _, successor := range []store.Key{key(""), {Key: key("new").Key, Successor: "plain"}} {
		_, _, err = s.RotateKey(ctx, operator, "plain", successor, day(9))
		wantError(t, err, store.ErrInvalid)
	}
	fails(s.Key(ctx, "new"))(t, store.ErrNotFound)
}

func rotateConflict(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	original := addKey(t, s, key("old"))
	addKey(t, s, key("taken"))

	sameID := key("taken")
	sameID.Digest = identity.DigestOf("another")
	sameDigest := key("new")
	sameDigest.Digest = identity.DigestOf("taken")
	itself := key("old")
	itself.Digest = identity.DigestOf("another")
	for _, successor := range []store.Key{sameID, sameDigest, itself} {
		_, _, err := s.RotateKey(ctx, operator, "old", successor, day(3))
		wantError(t, err, store.ErrConflict)
		equal(t, "original", must(s.Key(ctx, "old"))(t), original)
	}
	fails(s.Key(ctx, "new"))(t, store.ErrNotFound)
}

func rotateReference(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	original := addKey(t, s, key("old"))
	orphan := key("new")
	orphan.Org = "unknown"
	_, _, err := s.RotateKey(t.Context(), operator, "old", orphan, day(3))
	wantError(t, err, store.ErrReference)
	equal(t, "original", must(s.Key(t.Context(), "old"))(t), original)
}

func contestedRotation(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addKey(t, s, key("old"))
	errs := concurrently(16, func(i int) error {
		_, _, err := s.RotateKey(ctx, operator, "old", key(identity.KeyID(fmt.Sprintf("new-%d", i))), day(3))
		return err
	})
	won, lost := tally(t, errs, store.ErrInvalid)
	equal(t, "winners", won, 1)
	equal(t, "losers", lost, 15)
	keys, _, err := s.ListKeys(ctx, store.KeyFilter{}, whole())
	succeeds(t, err)
	equal(t, "keys", len(keys), 2)
	must(s.Key(ctx, must(s.Key(ctx, "old"))(t).Successor))(t)
}

func rotatedTwice(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addKey(t, s, key("first"))
	for _, step := range [][2]identity.KeyID{{"first", "second"}, {"second", "third"}} {
		_, _, err := s.RotateKey(ctx, operator, step[0], key(step[1]), day(3))
		succeeds(t, err)
	}
	equal(t, "successor of the first", must(s.Key(ctx, "first"))(t).Successor, identity.KeyID("second"))
	equal(t, "successor of the second", must(s.Key(ctx, "second"))(t).Successor, identity.KeyID("third"))
}
