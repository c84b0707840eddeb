package authz

import (
	"time"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

// The functions of this file are the judgements: pure, and the same for a
// request, an explanation and a rehearsal. Unset means nothing to object to.

// evaluateKey judges a key's own state. A key of another profile is unknown here.
func evaluateKey(key *identity.Key, name identity.ProfileName, environment identity.Environment, now time.Time) reason.Reason {
	switch {
	case key.Profile != name:
		return reason.InvalidCredential
	case !key.RevokedAt.IsZero():
		return reason.Revoked
	case key.Disabled:
		return reason.Disabled
	case !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt):
		return reason.Expired
	case environment != "" && key.Environment != environment:
		return reason.WrongEnvironment
	}
	return reason.Unset
}

// evaluateToken judges a verified token by what the store says of it and of its
// user; nil means that the store knows none. Signature, issuer, audience and
// times were judged when it was verified.
func evaluateToken(claims *token.Claims, state *identity.Token, user *identity.User, environment identity.Environment) reason.Reason {
	own := claims.Issuer == ""
	switch {
	case own && state == nil: // not minted here, whatever it is signed with
		return reason.InvalidCredential
	case state != nil && !state.RevokedAt.IsZero():
		return reason.Revoked
	case !own && user != nil && claims.IssuedAt.Before(user.TokensNotBefore):
		return reason.Revoked
	case environment != "" && claims.Rule.Claims.Environment != "" && claims.Environment != environment:
		return reason.WrongEnvironment
	case user != nil && user.Disabled:
		return reason.NoOrganization
	case user == nil && claims.Rule.Directory == profile.DirectoryRequired:
		return reason.NoOrganization
	}
	return reason.Unset
}

// evaluateOrganization judges an organization's own state; nil means that the
// store knows none, which only a trusted issuer's token survives.
func evaluateOrganization(org *identity.Organization, trusted bool) reason.Reason {
	switch {
	case org == nil && !trusted:
		return reason.NoOrganization
	case org != nil && org.Disabled:
		return reason.OrganizationDisabled
	}
	return reason.Unset
}

// evaluateResource judges whose a resource is; nil means that it exists nowhere.
func evaluateResource(resource *identity.Resource, org identity.OrgID) reason.Reason {
	switch {
	case resource == nil:
		return reason.ResourceNotFound
	case resource.Org != org:
		return reason.ResourceForeign
	}
	return reason.Unset
}
