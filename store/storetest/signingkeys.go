package storetest

import (
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func signingKeyTests() []test {
	return []test{
		{"signing keys are listed as they were created, oldest first", listedSigningKeys},
		{"ids that look alike are different signing keys", lookalikeSigningKeys},
		{"an id is unique, and needed", uniqueSigningKeys},
	}
}

func signingKey(id string) identity.SigningKey {
	return identity.SigningKey{
		ID: id, Profile: "profile", Algorithm: "EdDSA", Private: identity.NewSecret("private-part-of-" + id), CreatedAt: day(1),
	}
}

func listedSigningKeys(t *testing.T, s store.Store) {
	equal(t, "keys of an empty store", len(must(s.ListSigningKeys(t.Context()))(t)), 0)
	retired, common, first := signingKey("retired"), signingKey("common"), signingKey("first")
	retired.CreatedAt, retired.RetiredAt = day(3), day(4)
	common.CreatedAt, common.Profile = day(2), ""
	for _, k := range []identity.SigningKey{retired, common, first} {
		equal(t, "created", must(s.CreateSigningKey(t.Context(), operator, k))(t), k)
	}
	equal(t, "listed", must(s.ListSigningKeys(t.Context()))(t), []identity.SigningKey{first, common, retired})
}

func lookalikeSigningKeys(t *testing.T, s store.Store) {
	for _, name := range lookalikes() {
		must(s.CreateSigningKey(t.Context(), operator, signingKey(name)))(t)
	}
	equal(t, "keys", len(must(s.ListSigningKeys(t.Context()))(t)), len(lookalikes()))
}

func uniqueSigningKeys(t *testing.T, s store.Store) {
	first := must(s.CreateSigningKey(t.Context(), operator, signingKey("key")))(t)
	second := signingKey("key")
	second.Algorithm, second.Profile = "RS256", "another"
	fails(s.CreateSigningKey(t.Context(), operator, second))(t, store.ErrConflict)
	fails(s.CreateSigningKey(t.Context(), operator, signingKey("")))(t, store.ErrInvalid)
	equal(t, "listed", must(s.ListSigningKeys(t.Context()))(t), []identity.SigningKey{first})
}
