package storetest

import (
	"context"
	"testing"

	"postern/authz/identity"
	"postern/store"
)

// mutation is one call that changes the store made by withEverything.
type mutation struct {
	action, subject string
	org             identity.OrgID
	detail          map[string]string
	changes         []store.Change // without revision and time
	// run returns the record's revision; 0 where the call returns none.
	run func(ctx context.Context, s store.Store) (identity.Revision, error)
	// again is how a second run fails; nil: it changes nothing.
	again error
	// repeats: a second run is a mutation like the first.
	repeats bool
}

// withEverything adds a record of each kind that mutations change.
func withEverything(t testing.TB, s store.Store) {
	t.Helper()
	withTokenOwners(t, s)
	must(s.PutMembership(t.Context(), operator, membership("org", "user", day(1), "READ")))(t)
	k := key("key")
	k.User = "user"
	addKey(t, s, k)
	addToken(t, s, token("token"))
	addResource(t, s, resource("resource"))
}

func mutations() []mutation {
	orgChange := store.Change{Kind: identity.ChangeOrganization, Org: "org"}
	userChange := store.Change{Kind: identity.ChangeUser, User: "user"}
	memberChange := store.Change{Kind: identity.ChangeMembership, Org: "org", User: "user"}
	keyChange := store.Change{Kind: identity.ChangeKey, Org: "org", User: "user", Key: "key", Digest: identity.DigestOf("key")}
	newKeyChange := store.Change{Kind: identity.ChangeKey, Org: "org", Key: "new", Digest: identity.DigestOf("new")}
	tokenChange := store.Change{Kind: identity.ChangeToken, Org: "org", User: "user", Token: identity.TokenRef{ID: "token"}}
	newTokenChange := store.Change{Kind: identity.ChangeToken, Org: "org", User: "user", Token: identity.TokenRef{ID: "new"}}
	foreign := identity.TokenRef{Issuer: "https://issuer.example", ID: "foreign"}
	accountChange := store.Change{Kind: identity.ChangeAccount, Org: "org"}
	return []mutation{
		{action: store.ActionOrganizationCreate, subject: "new", org: "new", detail: map[string]string{"slug": "slug-of-new"},
			changes: []store.Change{{Kind: identity.ChangeOrganization, Org: "new"}}, again: store.ErrConflict,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.CreateOrganization(ctx, operator, organization("new"))
				return v.Revision, err
			}},
		{action: store.ActionOrganizationDisable, subject: "org", org: "org", changes: []store.Change{orgChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.SetOrganizationDisabled(ctx, operator, "org", true)
				return v.Revision, err
			}},
		{action: store.ActionUserCreate, subject: "new", detail: map[string]string{"issuer": ""},
			changes: []store.Change{{Kind: identity.ChangeUser, User: "new"}}, again: store.ErrConflict,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.CreateUser(ctx, operator, user("new"))
				return v.Revision, err
			}},
		{action: store.ActionUserDisable, subject: "user", changes: []store.Change{userChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.SetUserDisabled(ctx, operator, "user", true)
				return v.Revision, err
			}},
		{action: store.ActionMembershipPut, subject: "user", org: "org", detail: map[string]string{"grants": "READ,WRITE"},
			changes: []store.Change{memberChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.PutMembership(ctx, operator, membership("org", "user", day(2), "READ", "WRITE"))
				return v.Revision, err
			}},
		{action: store.ActionMembershipDelete, subject: "user", org: "org", changes: []store.Change{memberChange}, again: store.ErrNotFound,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				return 0, s.DeleteMembership(ctx, operator, identity.MembershipRef{Org: "org", User: "user"})
			}},
		{action: store.ActionKeyCreate, subject: "new", org: "org", detail: map[string]string{"profile": "profile", "name": "Name of new"},
			changes: []store.Change{newKeyChange}, again: store.ErrConflict,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.CreateKey(ctx, operator, key("new"), store.KeyLimit{})
				return v.Revision, err
			}},
		{action: store.ActionKeyRevoke, subject: "key", org: "org", changes: []store.Change{keyChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.RevokeKey(ctx, operator, "key", day(2))
				return v.Revision, err
			}},
		{action: store.ActionKeyDisable, subject: "key", org: "org", changes: []store.Change{keyChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.SetKeyDisabled(ctx, operator, "key", true)
				return v.Revision, err
			}},
		{action: store.ActionKeyRotate, subject: "key", org: "org", detail: map[string]string{"successor": "new"},
			changes: []store.Change{keyChange, newKeyChange}, again: store.ErrInvalid,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, _, err := s.RotateKey(ctx, operator, "key", key("new"), day(3))
				return v.Revision, err
			}},
		{action: store.ActionTokenCreate, subject: "new", org: "org", detail: map[string]string{"profile": "profile", "user": "user"},
			changes: []store.Change{newTokenChange}, again: store.ErrConflict,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.CreateToken(ctx, operator, token("new"))
				return v.Revision, err
			}},
		{action: store.ActionTokenRevoke, subject: "token", org: "org", changes: []store.Change{tokenChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.RevokeToken(ctx, operator, identity.TokenRef{ID: "token"}, day(2))
				return v.Revision, err
			}},
		{action: store.ActionTokenRevoke, subject: "foreign", detail: map[string]string{"issuer": "https://issuer.example"},
			changes: []store.Change{{Kind: identity.ChangeToken, Token: foreign}},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.RevokeToken(ctx, operator, foreign, day(2))
				return v.Revision, err
			}},
		{action: store.ActionUserRevokeTokens, subject: "user", detail: map[string]string{"tokens": "1"},
			changes: []store.Change{userChange, tokenChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, _, err := s.RevokeUserTokens(ctx, operator, "user", day(2))
				return v.Revision, err
			}},
		{action: store.ActionResourceCreate, subject: "new", org: "org", detail: map[string]string{"kind": "project", "slug": "slug-of-new"},
			changes: []store.Change{{Kind: identity.ChangeResource, Org: "org", Resource: "new"}}, again: store.ErrConflict,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				v, err := s.CreateResource(ctx, operator, resource("new"))
				return v.Revision, err
			}},
		{action: store.ActionResourceDelete, subject: "resource", org: "org", detail: map[string]string{"kind": "project"},
			changes: []store.Change{{Kind: identity.ChangeResource, Org: "org", Resource: "resource"}}, again: store.ErrNotFound,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				return 0, s.DeleteResource(ctx, operator, "project", "resource")
			}},
		{action: store.ActionAccountTopUp, subject: "org", org: "org", detail: map[string]string{"amount": "5", "note": "invoice 7"},
			changes: []store.Change{accountChange}, repeats: true,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				_, err := s.TopUp(ctx, operator, "org", 5, "invoice 7", day(2))
				return 0, err
			}},
		{action: store.ActionAccountPayAsYouGo, subject: "org", org: "org", detail: map[string]string{"on": "true"},
			changes: []store.Change{accountChange},
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				_, err := s.SetPayAsYouGo(ctx, operator, "org", true)
				return 0, err
			}},
		{action: store.ActionSigningKeyCreate, subject: "new", detail: map[string]string{"algorithm": "EdDSA", "profile": "profile"},
			changes: []store.Change{{Kind: identity.ChangeSigningKey}}, again: store.ErrConflict,
			run: func(ctx context.Context, s store.Store) (identity.Revision, error) {
				_, err := s.CreateSigningKey(ctx, operator, signingKey("new"))
				return 0, err
			}},
	}
}
