// Package valid says which records no engine takes, so that all of them refuse
// the same. It knows no database. No error repeats a value: it may be a secret
// in the wrong field.
package valid

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"postern/authz/identity"
	"postern/store"
)

// Present refuses an empty value among pairs of a field's name and its value:
// everywhere else empty means none.
func Present(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return fmt.Errorf("%w: %s is empty: give one", store.ErrInvalid, pairs[i])
		}
	}
	return nil
}

// IsText reports whether a value is what every engine can keep: UTF-8 without a
// NUL character. Nothing else is the name of anything.
func IsText(value string) bool {
	return utf8.ValidString(value) && !strings.ContainsRune(value, 0)
}

// Text refuses a value that is no text among pairs of a field's name and its value.
func Text(pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if !IsText(pairs[i+1]) {
			return fmt.Errorf("%w: %s is not UTF-8, or holds a NUL character: give a text", store.ErrInvalid, pairs[i])
		}
	}
	return nil
}

func both(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// Organization checks what a caller may set.
func Organization(o store.Organization) error {
	return both(Present("id", string(o.ID), "slug", string(o.Slug)),
		Text("id", string(o.ID), "slug", string(o.Slug), "name", o.Name, "plan", o.Plan))
}

// User checks what a caller may set; its Subject is already filled in.
func User(u store.User) error {
	return both(Present("id", string(u.ID), "subject", u.Subject),
		Text("id", string(u.ID), "issuer", string(u.Issuer), "subject", u.Subject, "email", u.Email, "name", u.Name))
}

// Membership checks what a caller may set.
func Membership(m store.Membership) error {
	return Text("organization", string(m.Org), "user", string(m.User), "grants", m.Grants.String())
}

// Key checks what a caller may set.
func Key(k store.Key) error {
	if k.Successor != "" {
		return fmt.Errorf("%w: successor is set: leave it empty, rotating the key sets it", store.ErrInvalid)
	}
	return both(Present("id", string(k.ID)),
		Text("id", string(k.ID), "organization", string(k.Org), "user", string(k.User), "profile", string(k.Profile),
			"environment", string(k.Environment), "name", k.Name, "description", k.Description, "hint", k.Hint,
			"hash", k.Hash.Reveal(), "grants", k.Grants.String()))
}

// Rotation refuses a key whose state does not allow a successor.
func Rotation(original store.Key) error {
	if !original.RevokedAt.IsZero() {
		return fmt.Errorf("%w: the key is revoked: create a new one", store.ErrInvalid)
	}
	if original.Successor != "" {
		return fmt.Errorf("%w: the key already has a successor: rotate that one", store.ErrInvalid)
	}
	return nil
}

// Token checks what a caller may set.
func Token(t store.Token) error {
	if t.ExpiresAt.IsZero() {
		return fmt.Errorf("%w: expiry is missing: every token has one", store.ErrInvalid)
	}
	return both(Present("id", string(t.ID)),
		Text("id", string(t.ID), "profile", string(t.Profile), "kind", string(t.Kind), "name", t.Name,
			"organization", string(t.Org), "user", string(t.User), "grants", t.Grants.String()))
}

// TokenRef checks a token that is to be refused.
func TokenRef(ref identity.TokenRef) error {
	return both(Present("id", string(ref.ID)), Text("issuer", string(ref.Issuer), "id", string(ref.ID)))
}

// Resource checks what a caller may set.
func Resource(r store.Resource) error {
	return both(Present("id", string(r.ID), "kind", string(r.Kind)),
		Text("id", string(r.ID), "kind", string(r.Kind), "slug", r.Slug, "organization", string(r.Org)))
}

// ResourceRef refuses a reference that is not by exactly one of slug and id.
func ResourceRef(ref identity.ResourceRef) error {
	if (ref.Slug == "") == (ref.ID == "") {
		return fmt.Errorf("%w: slug and id: give exactly one", store.ErrInvalid)
	}
	return nil
}

// SigningKey checks what a caller may set.
func SigningKey(k identity.SigningKey) error {
	return both(Present("id", k.ID),
		Text("id", k.ID, "profile", string(k.Profile), "algorithm", k.Algorithm, "private part", k.Private.Reveal()))
}

// Reservation checks what is to be debited.
func Reservation(r store.Reservation) error {
	if r.Cost <= 0 {
		return fmt.Errorf("%w: cost is %d: give a positive one", store.ErrInvalid, r.Cost)
	}
	return both(Present("request id", r.RequestID),
		Text("request id", r.RequestID, "key", string(r.Key), "note", r.Note))
}

// TopUp checks what is to be added to an account.
func TopUp(amount identity.Credits, note string) error {
	if amount <= 0 {
		return fmt.Errorf("%w: amount is %d: give a positive one", store.ErrInvalid, amount)
	}
	return Text("note", note)
}

// FeedLimit checks how many changes are asked for.
func FeedLimit(limit int) error {
	if limit < 1 {
		return fmt.Errorf("%w: limit is %d: give at least 1", store.ErrInvalid, limit)
	}
	return nil
}

// Replica checks what beats.
func Replica(r identity.Replica) error {
	return both(Present("id", string(r.ID)), Text("id", string(r.ID), "name", r.Name))
}

// SharedSecret checks a proposed value.
func SharedSecret(name string, proposed identity.Secret) error {
	return both(Present("name", name, "value", proposed.Reveal()), Text("name", name, "value", proposed.Reveal()))
}
