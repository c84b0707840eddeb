package storetest

import (
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func timeTests() []test {
	return []test{
		{"times come back in UTC, to the millisecond at least", keptTimes},
		{"a time that is left out is the store's own", filledTimes},
		{"an optional time that is left out stays so", emptyTimes},
		{"the beginning of 1970 is a time like any other", epoch},
	}
}

func keptTimes(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	given := key("key")
	zone := time.FixedZone("far away", -9*3600-1800)
	exact := time.Date(2031, time.March, 4, 5, 6, 7, 123_456_789, zone)
	given.CreatedAt, given.ExpiresAt = exact, exact
	created := addKey(t, s, given)
	for name, got := range map[string]time.Time{"CreatedAt": created.CreatedAt, "ExpiresAt": created.ExpiresAt} {
		if got.Location() != time.UTC {
			t.Errorf("%s is in %v, want UTC", name, got.Location())
		}
		if lost := exact.Sub(got); lost < 0 || lost >= time.Millisecond {
			t.Errorf("%s is %v, want %v less a millisecond at most", name, got, exact)
		}
	}
	equal(t, "found", must(s.Key(t.Context(), "key"))(t), created)
}

func filledTimes(t *testing.T, s store.Store) {
	ctx := t.Context()
	org, user, k, v, r, sk := organization("org"), user("user"), key("key"), token("token"), resource("id"), signingKey("sk")
	org.CreatedAt, user.CreatedAt, k.CreatedAt = time.Time{}, time.Time{}, time.Time{}
	v.IssuedAt, r.CreatedAt, sk.CreatedAt = time.Time{}, time.Time{}, time.Time{}
	times := map[string]time.Time{
		"organization": must(s.CreateOrganization(ctx, operator, org))(t).CreatedAt,
		"user":         must(s.CreateUser(ctx, operator, user))(t).CreatedAt,
		"key":          addKey(t, s, k).CreatedAt,
		"token":        addToken(t, s, v).IssuedAt,
		"resource":     addResource(t, s, r).CreatedAt,
		"signing key":  must(s.CreateSigningKey(ctx, operator, sk))(t).CreatedAt,
		"membership":   must(s.PutMembership(ctx, operator, membership("org", "user", time.Time{})))(t).CreatedAt,
	}
	must(s.TopUp(ctx, operator, "org", 5, "", time.Time{}))(t)
	debit := reservation("request", 1)
	debit.At = time.Time{}
	reserve(t, s, debit, 4, true)
	for _, e := range wantLedger(t, s, "org", 4, 2) {
		times["ledger "+string(e.Kind)] = e.At
	}
	original, successor, err := s.RotateKey(ctx, operator, "key", key("new"), time.Time{})
	succeeds(t, err)
	equal(t, "creation of the successor", successor.CreatedAt, day(1))
	times["end of a rotation"] = original.ExpiresAt
	times["revocation of a key"] = must(s.RevokeKey(ctx, operator, "new", time.Time{}))(t).RevokedAt
	times["revocation of a token"] = must(s.RevokeToken(ctx, operator, identity.TokenRef{ID: "token"}, time.Time{}))(t).RevokedAt
	withdrawn, _, err := s.RevokeUserTokens(ctx, operator, "user", time.Time{})
	succeeds(t, err)
	times["bound of a user's tokens"] = withdrawn.TokensNotBefore
	for name, at := range times {
		if at.IsZero() {
			t.Errorf("%s has no time", name)
		}
	}
}

func emptyTimes(t *testing.T, s store.Store) {
	withTokenOwners(t, s)
	k := addKey(t, s, key("key"))
	v := addToken(t, s, token("token"))
	u := must(s.User(t.Context(), "user"))(t)
	for name, at := range map[string]time.Time{
		"key's expiry": k.ExpiresAt, "key's revocation": k.RevokedAt,
		"token's revocation": v.RevokedAt, "bound of the user's tokens": u.TokensNotBefore,
	} {
		if !at.IsZero() {
			t.Errorf("%s is %v, want none", name, at)
		}
	}
}

func epoch(t *testing.T, s store.Store) {
	addOrganization(t, s, "org")
	given := key("key")
	given.ExpiresAt = time.Unix(0, 0).UTC()
	equal(t, "expiry", addKey(t, s, given).ExpiresAt, given.ExpiresAt)
	keys, _, err := s.ListKeys(t.Context(), store.KeyFilter{ActiveOnly: true, Now: day(1)}, whole())
	succeeds(t, err)
	equal(t, "active keys", len(keys), 0)
}
