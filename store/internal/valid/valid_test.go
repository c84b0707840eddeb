package valid

import (
	"errors"
	"strings"
	"testing"

	"postern/authz/identity"
	"postern/store"
)

func TestARefusalNamesTheFieldAndNotItsValue(t *testing.T) {
	const pasted = "api_pasted\xff"
	for field, err := range map[string]error{
		"organization": Key(store.Key{Key: identity.Key{ID: "id", Org: pasted}}),
		"hash":         Key(store.Key{Key: identity.Key{ID: "id"}, Hash: identity.NewSecret(pasted)}),
		"slug":         Organization(store.Organization{Organization: identity.Organization{ID: "id", Slug: pasted}}),
		"subject":      User(store.User{User: identity.User{ID: "id", Subject: pasted}}),
		"grants":       Membership(store.Membership{Membership: identity.Membership{Grants: identity.NewGrants(pasted)}}),
		"issuer":       TokenRef(identity.TokenRef{Issuer: pasted, ID: "id"}),
		"request id":   Reservation(store.Reservation{RequestID: "a\x00b", Cost: 1}),
		"note":         TopUp(1, pasted),
		"value":        SharedSecret("name", identity.Secret{}),
	} {
		if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "pasted") {
			t.Errorf("%s: got %v", field, err)
		}
	}
}
