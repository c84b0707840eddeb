package storetest

import (
	"fmt"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func keyTests() []test {
	return []test{
		{"a created key is found by id and by digest as it was returned", foundKey},
		{"ids that look alike are different keys", lookalikeKeys},
		{"an id is unique, and a digest that is not zero", uniqueKeys},
		{"a key needs its organization, and its user if it names one", keyReferences},
		{"a key needs an id, and gets no successor but by rotation", invalidKeys},
		{"an unknown key is not found", unknownKeys},
		{"a revoked key stays revoked since its first time", revokedKey},
		{"a key is switched off and on again, and stays revoked", switchedKey},
		{"a list of keys keeps to its filter", filteredKeys},
	}
}

func keyLimitTests() []test {
	return []test{
		{"of many who add a key at once exactly as many as fit succeed", limitUnderConcurrency},
		{"the limit counts the profile's keys that are neither revoked nor expired", limitCountsActive},
		{"a limit of 0 is none", noLimit},
	}
}

func foundKey(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addUser(t, s, "user")
	given := key("key")
	given.User, given.ExpiresAt, given.RevokedAt, given.Disabled = "user", day(9), day(5), true
	created := must(s.CreateKey(ctx, operator, given, store.KeyLimit{}))(t)
	if created.Revision == 0 {
		t.Error("the created key has no revision")
	}
	given.Revision = created.Revision
	equal(t, "created", created, given)
	equal(t, "found by id", must(s.Key(ctx, "key"))(t), created)
	equal(t, "found by digest", must(s.KeyByDigest(ctx, given.Digest))(t), created)
}

func lookalikeKeys(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	for _, name := range lookalikes() {
		fails(s.Key(t.Context(), identity.KeyID(name)))(t, store.ErrNotFound)
		addKey(t, s, key(identity.KeyID(name)))
	}
	for _, name := range lookalikes() {
		found := must(s.KeyByDigest(t.Context(), identity.DigestOf(name)))(t)
		equal(t, "id", found.ID, identity.KeyID(name))
		equal(t, "found", must(s.Key(t.Context(), identity.KeyID(name)))(t), found)
	}
}

func uniqueKeys(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	first := addKey(t, s, key("key"))

	sameID := key("key")
	sameID.Digest = identity.DigestOf("another")
	fails(s.CreateKey(ctx, operator, sameID, store.KeyLimit{}))(t, store.ErrConflict)
	fails(s.KeyByDigest(ctx, sameID.Digest))(t, store.ErrNotFound)

	sameDigest := key("another")
	sameDigest.Digest = first.Digest
	fails(s.CreateKey(ctx, operator, sameDigest, store.KeyLimit{}))(t, store.ErrConflict)
	equal(t, "the first", must(s.KeyByDigest(ctx, first.Digest))(t), first)

	for _, id := range []identity.KeyID{"slow-1", "slow-2"} {
		slow := key(id)
		slow.Digest = identity.Digest{}
		created := addKey(t, s, slow)
		equal(t, "digest of a key kept by a slow hash", created.Digest, identity.Digest{})
	}
	fails(s.KeyByDigest(ctx, identity.Digest{}))(t, store.ErrNotFound)
}

func keyReferences(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addUser(t, s, "user")
	for _, name := range []string{"unknown", "", "ORG"} {
		orphan := key("orphan")
		orphan.Org = identity.OrgID(name)
		fails(s.CreateKey(ctx, operator, orphan, store.KeyLimit{}))(t, store.ErrReference)
	}
	unowned := key("unowned")
	unowned.User = "USER"
	fails(s.CreateKey(ctx, operator, unowned, store.KeyLimit{}))(t, store.ErrReference)
	fails(s.Key(ctx, "orphan"))(t, store.ErrNotFound)
	fails(s.Key(ctx, "unowned"))(t, store.ErrNotFound)

	service := addKey(t, s, key("service"))
	equal(t, "user of a service key", service.User, identity.UserID(""))
}

func invalidKeys(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	fails(s.CreateKey(t.Context(), operator, key(""), store.KeyLimit{}))(t, store.ErrInvalid)
	addKey(t, s, key("key"))
	succeeded := key("another")
	succeeded.Successor = "key"
	fails(s.CreateKey(t.Context(), operator, succeeded, store.KeyLimit{}))(t, store.ErrInvalid)
}

func unknownKeys(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addKey(t, s, key("key"))
	fails(s.Key(ctx, "unknown"))(t, store.ErrNotFound)
	fails(s.Key(ctx, ""))(t, store.ErrNotFound)
	fails(s.KeyByDigest(ctx, identity.DigestOf("unknown")))(t, store.ErrNotFound)
	fails(s.RevokeKey(ctx, operator, "unknown", day(2)))(t, store.ErrNotFound)
	fails(s.SetKeyDisabled(ctx, operator, "KEY", true))(t, store.ErrNotFound)
}

func revokedKey(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	want := addKey(t, s, key("key"))
	other := addKey(t, s, key("other"))

	revoked := must(s.RevokeKey(ctx, operator, "key", day(5)))(t)
	if revoked.Revision <= want.Revision {
		t.Errorf("revision %d does not follow %d", revoked.Revision, want.Revision)
	}
	want.RevokedAt, want.Revision = day(5), revoked.Revision
	equal(t, "revoked", revoked, want)
	for _, at := range []time.Time{day(9), day(2)} {
		equal(t, "revoked again", must(s.RevokeKey(ctx, operator, "key", at))(t), want)
	}
	equal(t, "found by id", must(s.Key(ctx, "key"))(t), want)
	equal(t, "found by digest", must(s.KeyByDigest(ctx, want.Digest))(t), want)
	equal(t, "the other key", must(s.Key(ctx, "other"))(t), other)
}

func switchedKey(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addKey(t, s, key("key"))
	want := must(s.RevokeKey(ctx, operator, "key", day(5)))(t)
	for _, disabled := range []bool{true, false} {
		switched := must(s.SetKeyDisabled(ctx, operator, "key", disabled))(t)
		if switched.Revision <= want.Revision {
			t.Errorf("revision %d does not follow %d", switched.Revision, want.Revision)
		}
		want.Disabled, want.Revision = disabled, switched.Revision
		equal(t, "switched", switched, want)
		equal(t, "found", must(s.KeyByDigest(ctx, want.Digest))(t), want)
	}
}

func filteredKeys(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	addOrganization(t, s, "other")
	add := func(id identity.KeyID, change func(*store.Key)) {
		k := key(id)
		change(&k)
		addKey(t, s, k)
	}
	add("1-plain", func(*store.Key) {})
	add("2-disabled", func(k *store.Key) { k.Disabled = true })
	add("3-expired", func(k *store.Key) { k.ExpiresAt = day(5) })
	add("4-expiring", func(k *store.Key) { k.ExpiresAt = day(6) })
	add("5-revoked", func(k *store.Key) { k.RevokedAt = day(2) })
	add("6-profile", func(k *store.Key) { k.Profile = "PROFILE" })
	add("7-org", func(k *store.Key) { k.Org = "other" })

	for name, c := range map[string]struct {
		filter store.KeyFilter
		want   string
	}{
		"all":                   {store.KeyFilter{}, "1234567"},
		"of a profile":          {store.KeyFilter{Profile: "profile"}, "123457"},
		"of an organization":    {store.KeyFilter{Org: "other"}, "7"},
		"active":                {store.KeyFilter{ActiveOnly: true, Now: day(5)}, "12467"},
		"active a moment ago":   {store.KeyFilter{ActiveOnly: true, Now: day(5).Add(-1e6)}, "123467"},
		"of both, and active":   {store.KeyFilter{Org: "org", Profile: "profile", ActiveOnly: true, Now: day(9)}, "12"},
		"of an unknown org":     {store.KeyFilter{Org: "unknown"}, ""},
		"a time without effect": {store.KeyFilter{Now: day(9)}, "1234567"},
	} {
		keys, _, err := s.ListKeys(ctx, c.filter, whole())
		succeeds(t, err)
		got := ""
		for _, k := range keys {
			got += string(k.ID[0])
		}
		equal(t, name, got, c.want)
	}
}

func limitUnderConcurrency(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	limit := store.KeyLimit{Max: 10, Now: day(2)}
	errs := concurrently(50, func(i int) error {
		_, err := s.CreateKey(ctx, operator, key(identity.KeyID(fmt.Sprintf("key-%d", i))), limit)
		return err
	})
	added, refused := tally(t, errs, store.ErrLimit)
	equal(t, "added", added, 10)
	equal(t, "refused", refused, 40)
	keys, _, err := s.ListKeys(ctx, store.KeyFilter{}, whole())
	succeeds(t, err)
	equal(t, "kept", len(keys), 10)
}

func limitCountsActive(t *testing.T, s store.Store) {
	ctx := t.Context()
	addOrganization(t, s, "org")
	limit := store.KeyLimit{Max: 2, Now: day(5)}
	create := func(id identity.KeyID, change func(*store.Key)) error {
		k := key(id)
		change(&k)
		_, err := s.CreateKey(ctx, operator, k, limit)
		return err
	}
	succeeds(t, create("expired", func(k *store.Key) { k.ExpiresAt = limit.Now }))
	succeeds(t, create("revoked", func(k *store.Key) { k.RevokedAt = day(1) }))
	succeeds(t, create("other-profile", func(k *store.Key) { k.Profile = "PROFILE" }))
	succeeds(t, create("expiring", func(k *store.Key) { k.ExpiresAt = day(6) }))
	succeeds(t, create("disabled", func(k *store.Key) { k.Disabled = true }))
	wantError(t, create("too-many", func(*store.Key) {}), store.ErrLimit)
	fails(s.Key(ctx, "too-many"))(t, store.ErrNotFound)

	must(s.RevokeKey(ctx, operator, "disabled", day(5)))(t)
	succeeds(t, create("in-its-place", func(*store.Key) {}))
	wantError(t, create("too-many", func(*store.Key) {}), store.ErrLimit)
	limit.Now = day(6)
	succeeds(t, create("after-one-expired", func(*store.Key) {}))
}

func noLimit(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	for i := range 5 {
		k := key(identity.KeyID(fmt.Sprintf("key-%d", i)))
		must(s.CreateKey(t.Context(), operator, k, store.KeyLimit{Max: 0, Now: day(2)}))(t)
	}
}
