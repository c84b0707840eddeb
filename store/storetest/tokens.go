package storetest

import (
	"testing"
	"time"

	"postern/authz/identity"
	"postern/store"
)

func tokenTests() []test {
	return []test{
		{"a created token is found as it was returned", foundToken},
		{"ids that look alike are different tokens", lookalikeTokens},
		{"an id is unique", uniqueTokens},
		{"a token needs its user, and its organization if it names one", tokenReferences},
		{"a token needs an id and an expiry", invalidTokens},
		{"a token that was never minted is not found", unknownTokens},
		{"a revoked token stays revoked since its first time", revokedToken},
		{"a foreign token is refused since its first time", refusedToken},
		{"a refusal is of exactly one issuer and one id", lookalikeRefusals},
		{"a list of tokens keeps to its filter", filteredTokens},
	}
}

func userTokenTests() []test {
	return []test{
		{"all tokens of a user are withdrawn, and nobody else's", revokedUserTokens},
		{"the bound of a user's tokens never moves back", boundMovesForward},
		{"the tokens of an unknown user are not withdrawn", revokeTokensOfNobody},
	}
}

// withTokenOwners adds what the tokens of these tests refer to.
func withTokenOwners(t testing.TB, s store.Store) {
	t.Helper()
	addOrganization(t, s, "org")
	addUser(t, s, "user")
}

func foundToken(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	given := token("token")
	given.RevokedAt = day(5)
	created := must(s.CreateToken(ctx, operator, given))(t)
	if created.Revision == 0 {
		t.Error("the created token has no revision")
	}
	given.Revision = created.Revision
	equal(t, "created", created, given)
	equal(t, "found", must(s.Token(ctx, "token"))(t), created)
	want := identity.Token{Ref: identity.TokenRef{ID: "token"}, User: "user", RevokedAt: day(5), Revision: created.Revision}
	equal(t, "state", must(s.TokenState(ctx, want.Ref))(t), want)
}

func lookalikeTokens(t *testing.T, s store.Store) {
	withTokenOwners(t, s)
	for _, name := range lookalikes() {
		fails(s.Token(t.Context(), identity.TokenID(name)))(t, store.ErrNotFound)
		fails(s.TokenState(t.Context(), identity.TokenRef{ID: identity.TokenID(name)}))(t, store.ErrNotFound)
		addToken(t, s, token(identity.TokenID(name)))
	}
	for _, name := range lookalikes() {
		equal(t, "id", must(s.Token(t.Context(), identity.TokenID(name)))(t).ID, identity.TokenID(name))
	}
}

func uniqueTokens(t *testing.T, s store.Store) {
	withTokenOwners(t, s)
	first := addToken(t, s, token("token"))
	second := token("token")
	second.Name = "another"
	fails(s.CreateToken(t.Context(), operator, second))(t, store.ErrConflict)
	equal(t, "the first", must(s.Token(t.Context(), "token"))(t), first)
}

func tokenReferences(t *testing.T, s store.Store) {
	withTokenOwners(t, s)
	for _, id := range []identity.UserID{"", "unknown", "USER"} {
		v := token("token")
		v.User = id
		fails(s.CreateToken(t.Context(), operator, v))(t, store.ErrReference)
	}
	v := token("token")
	v.Org = "unknown"
	fails(s.CreateToken(t.Context(), operator, v))(t, store.ErrReference)
	fails(s.Token(t.Context(), "token"))(t, store.ErrNotFound)

	v.Org = ""
	equal(t, "organization", addToken(t, s, v).Org, identity.OrgID(""))
}

func invalidTokens(t *testing.T, s store.Store) {
	withTokenOwners(t, s)
	fails(s.CreateToken(t.Context(), operator, token("")))(t, store.ErrInvalid)
	endless := token("token")
	endless.ExpiresAt = time.Time{}
	fails(s.CreateToken(t.Context(), operator, endless))(t, store.ErrInvalid)
	fails(s.RevokeToken(t.Context(), operator, identity.TokenRef{}, day(2)))(t, store.ErrInvalid)
	fails(s.RevokeToken(t.Context(), operator, identity.TokenRef{Issuer: "https://issuer.example"}, day(2)))(t, store.ErrInvalid)
}

func unknownTokens(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	addToken(t, s, token("token"))
	fails(s.Token(ctx, "unknown"))(t, store.ErrNotFound)
	fails(s.TokenState(ctx, identity.TokenRef{ID: "unknown"}))(t, store.ErrNotFound)
	fails(s.TokenState(ctx, identity.TokenRef{Issuer: "https://issuer.example", ID: "token"}))(t, store.ErrNotFound)
	fails(s.RevokeToken(ctx, operator, identity.TokenRef{ID: "unknown"}, day(2)))(t, store.ErrNotFound)
	fails(s.TokenState(ctx, identity.TokenRef{ID: "unknown"}))(t, store.ErrNotFound)
}

func revokedToken(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	want := addToken(t, s, token("token"))
	other := addToken(t, s, token("other"))
	ref := identity.TokenRef{ID: "token"}
	equal(t, "state before", must(s.TokenState(ctx, ref))(t), identity.Token{Ref: ref, User: "user", Revision: want.Revision})

	state := must(s.RevokeToken(ctx, operator, ref, day(5)))(t)
	if state.Revision <= want.Revision {
		t.Errorf("revision %d does not follow %d", state.Revision, want.Revision)
	}
	equal(t, "revoked", state, identity.Token{Ref: ref, User: "user", RevokedAt: day(5), Revision: state.Revision})
	for _, at := range []time.Time{day(9), day(2)} {
		equal(t, "revoked again", must(s.RevokeToken(ctx, operator, ref, at))(t), state)
	}
	want.RevokedAt, want.Revision = day(5), state.Revision
	equal(t, "found", must(s.Token(ctx, "token"))(t), want)
	equal(t, "state", must(s.TokenState(ctx, ref))(t), state)
	equal(t, "the other token", must(s.Token(ctx, "other"))(t), other)
}

func refusedToken(t *testing.T, s store.Store) {
	ctx := t.Context()
	ref := identity.TokenRef{Issuer: "https://issuer.example", ID: "token"}
	fails(s.TokenState(ctx, ref))(t, store.ErrNotFound)
	state := must(s.RevokeToken(ctx, operator, ref, day(5)))(t)
	if state.Revision == 0 {
		t.Error("the refusal has no revision")
	}
	equal(t, "refused", state, identity.Token{Ref: ref, RevokedAt: day(5), Revision: state.Revision})
	for _, at := range []time.Time{day(9), day(2)} {
		equal(t, "refused again", must(s.RevokeToken(ctx, operator, ref, at))(t), state)
	}
	equal(t, "state", must(s.TokenState(ctx, ref))(t), state)
	fails(s.Token(ctx, "token"))(t, store.ErrNotFound)
}

func lookalikeRefusals(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	minted := addToken(t, s, token("token"))
	must(s.RevokeToken(ctx, operator, identity.TokenRef{Issuer: "https://issuer.example", ID: "token"}, day(5)))(t)
	for _, ref := range []identity.TokenRef{
		{Issuer: "https://issuer.example/", ID: "token"},
		{Issuer: "https://ISSUER.example", ID: "token"},
		{Issuer: "https://issuer.example", ID: "TOKEN"},
	} {
		fails(s.TokenState(ctx, ref))(t, store.ErrNotFound)
	}
	equal(t, "the minted token", must(s.Token(ctx, "token"))(t), minted)
}

func filteredTokens(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	addUser(t, s, "other")
	addOrganization(t, s, "other")
	add := func(id identity.TokenID, change func(*store.Token)) {
		v := token(id)
		change(&v)
		addToken(t, s, v)
	}
	add("1-plain", func(*store.Token) {})
	add("2-profile", func(v *store.Token) { v.Profile = "PROFILE" })
	add("3-org", func(v *store.Token) { v.Org = "other" })
	add("4-no-org", func(v *store.Token) { v.Org = "" })
	add("5-user", func(v *store.Token) { v.User = "other" })
	add("6-kind", func(v *store.Token) { v.Kind = store.TokenSession })
	add("7-revoked", func(v *store.Token) { v.RevokedAt = day(2) })

	for name, c := range map[string]struct {
		filter store.TokenFilter
		want   string
	}{
		"all":                {store.TokenFilter{}, "1234567"},
		"of a profile":       {store.TokenFilter{Profile: "profile"}, "134567"},
		"of an organization": {store.TokenFilter{Org: "org"}, "12567"},
		"of a user":          {store.TokenFilter{User: "other"}, "5"},
		"of a kind":          {store.TokenFilter{Kind: store.TokenSession}, "6"},
		"of all four":        {store.TokenFilter{Profile: "profile", Org: "org", User: "user", Kind: store.TokenPrivate}, "17"},
		"of nobody":          {store.TokenFilter{User: "USER"}, ""},
	} {
		tokens, _, err := s.ListTokens(ctx, c.filter, whole())
		succeeds(t, err)
		got := ""
		for _, v := range tokens {
			got += string(v.ID[0])
		}
		equal(t, name, got, c.want)
	}
}

func revokedUserTokens(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	addUser(t, s, "other")
	before := must(s.User(ctx, "user"))(t)
	for _, id := range []identity.TokenID{"a", "b", "revoked"} {
		addToken(t, s, token(id))
	}
	must(s.RevokeToken(ctx, operator, identity.TokenRef{ID: "revoked"}, day(2)))(t)
	foreign := token("foreign")
	foreign.User = "other"
	foreign = addToken(t, s, foreign)

	after, withdrawn, err := s.RevokeUserTokens(ctx, operator, "user", day(5))
	succeeds(t, err)
	equal(t, "withdrawn", withdrawn, 2)
	if after.Revision <= before.Revision {
		t.Errorf("revision %d does not follow %d", after.Revision, before.Revision)
	}
	before.TokensNotBefore, before.Revision = day(5), after.Revision
	equal(t, "user", after, before)
	equal(t, "user found", must(s.User(ctx, "user"))(t), before)
	for id, at := range map[identity.TokenID]time.Time{"a": day(5), "b": day(5), "revoked": day(2)} {
		v := must(s.Token(ctx, id))(t)
		equal(t, "revocation of "+string(id), v.RevokedAt, at)
		state := must(s.TokenState(ctx, identity.TokenRef{ID: id}))(t)
		equal(t, "state of "+string(id), state, identity.Token{Ref: identity.TokenRef{ID: id}, User: "user", RevokedAt: at, Revision: v.Revision})
	}
	equal(t, "somebody else's token", must(s.Token(ctx, "foreign"))(t), foreign)
}

func boundMovesForward(t *testing.T, s store.Store) {
	ctx := t.Context()
	withTokenOwners(t, s)
	for _, step := range []struct{ at, want time.Time }{{day(5), day(5)}, {day(3), day(5)}, {day(6), day(6)}} {
		addToken(t, s, token(identity.TokenID("before "+step.at.String())))
		after, withdrawn, err := s.RevokeUserTokens(ctx, operator, "user", step.at)
		succeeds(t, err)
		equal(t, "withdrawn", withdrawn, 1)
		equal(t, "bound", after.TokensNotBefore, step.want)
		equal(t, "found", must(s.User(ctx, "user"))(t), after)
	}
}

func revokeTokensOfNobody(t *testing.T, s store.Store) {
	withTokenOwners(t, s)
	minted := addToken(t, s, token("token"))
	_, _, err := s.RevokeUserTokens(t.Context(), operator, "USER", day(5))
	wantError(t, err, store.ErrNotFound)
	equal(t, "token", must(s.Token(t.Context(), "token"))(t), minted)
}
