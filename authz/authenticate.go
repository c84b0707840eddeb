package authz

import (
	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

// authenticate tells whose the credential is. Its shape picks the way.
func (c *check) authenticate() outcome {
	raw, accept := c.found.Raw, c.found.Source.Accept
	digest := identity.DigestOf(raw)
	switch {
	case accept&credential.AdminKey != 0 && c.snapshot.isAdminKey(c.profile.Name, digest):
		c.out.Principal = Principal{Method: identity.MethodAdminKey, Grants: c.profile.AdminGrants}
		return pass
	case accept&credential.APIKey != 0 && c.profile.Keys != nil && c.profile.Keys.Valid(raw):
		return c.authenticateKey(raw, digest)
	case accept&credential.Token != 0 && credential.LooksLikeToken(raw):
		return c.authenticateToken(raw, digest)
	case accept == credential.AdminKey:
		return denied(reason.InvalidCredential)
	}
	return denied(reason.MalformedCredential)
}

func (c *check) authenticateKey(raw string, digest identity.Digest) outcome {
	keys := c.engine.ports.Keys
	key, presence := keys.Cached(digest, c.now)
	var cause error
	if presence == Unknown && c.blocking {
		key, presence, cause = keys.Load(c.ctx, &c.profile.Keys.Format, raw, digest)
		if (presence == Unavailable || presence == Busy) && c.profile.ServeStaleFor > 0 {
			old, known := keys.Stale(digest, c.now, c.profile.ServeStaleFor)
			// Busy is Postern's own choice: it may help a good key, and condemns none.
			if known == Found || known == Absent && presence == Unavailable {
				key, presence, c.out.Stale = old, known, true
			}
		}
	}
	switch presence {
	case Found:
	case Absent:
		return denied(reason.InvalidCredential)
	default:
		return unknown(presence, cause)
	}
	c.out.Principal = Principal{ // known from here on, whatever is decided: the log tells whose it was
		Method: identity.MethodAPIKey, Org: key.Org, User: key.User, Key: key.ID, Grants: key.Grants,
	}
	if r := evaluateKey(&key, c.profile.Name, c.profile.Environment, c.now); r != reason.Unset {
		return denied(r)
	}
	if key.User == "" {
		return pass
	}
	return c.keyOwner(&key)
}

// keyOwner refuses a key whose user was switched off or left the organization.
func (c *check) keyOwner(key *identity.Key) outcome {
	user, presence, cause := lookup(c, c.engine.ports.Users, key.User)
	if presence != Found && presence != Absent {
		return unknown(presence, cause)
	}
	if presence == Absent || user.Disabled {
		return denied(reason.NoOrganization)
	}
	return c.member(key.Org, key.User)
}

func (c *check) authenticateToken(raw string, digest identity.Digest) outcome {
	tokens := c.snapshot.Tokens[c.profile.Name]
	if tokens == nil {
		return denied(reason.InvalidCredential)
	}
	claims, r, cached := tokens.Cached(digest, c.now)
	var cause error
	if !cached {
		if !c.blocking {
			return outcome{needIO: true}
		}
		claims, r, cause = tokens.Verify(c.ctx, raw, digest)
	}
	if r != reason.Unset {
		return outcome{reason: r, cause: cause}
	}
	return c.tokenHolder(claims)
}

// tokenHolder asks whether the token was withdrawn and whether its user is set up.
func (c *check) tokenHolder(claims *token.Claims) outcome {
	ref := identity.TokenRef{Issuer: claims.Issuer, ID: claims.ID}
	state, presence, cause := lookup(c, c.engine.ports.TokenStates, ref)
	if presence != Found && presence != Absent {
		return unknown(presence, cause)
	}
	if presence == Absent {
		state = nil
	}
	user, presence, cause := lookup(c, c.engine.ports.Subjects, identity.SubjectRef{Issuer: claims.Issuer, Subject: claims.Subject})
	if presence != Found && presence != Absent {
		return unknown(presence, cause)
	}
	if presence == Absent {
		user = nil
	}
	c.claims, c.user = claims, user
	c.out.Principal = Principal{
		Method: identity.MethodToken, Org: claims.Org, OrgSlug: claims.OrgSlug,
		User: identity.UserID(claims.Subject), Token: claims.ID, Grants: claims.Grants,
	}
	if user != nil {
		c.out.Principal.User = user.ID
	}
	if r := evaluateToken(claims, state, user, c.profile.Environment); r != reason.Unset {
		return denied(r)
	}
	if c.trusted() || claims.Org == "" {
		return pass
	}
	return c.member(claims.Org, user.ID)
}

// trusted reports a token whose issuer is believed without a record in the store.
func (c *check) trusted() bool {
	return c.claims != nil && c.claims.Rule.Directory == profile.DirectoryTrusted
}

// member asks that the user belongs to the organization. Where the token names no
// permissions of its own, the membership's grants are the principal's.
func (c *check) member(org identity.OrgID, user identity.UserID) outcome {
	membership, presence, cause := lookup(c, c.engine.ports.Memberships, identity.MembershipRef{Org: org, User: user})
	switch presence {
	case Found:
	case Absent:
		return denied(reason.NoOrganization)
	default:
		return unknown(presence, cause)
	}
	if c.claims != nil && c.claims.Rule.Claims.Permissions == "" {
		c.out.Principal.Grants = membership.Grants
	}
	return pass
}
