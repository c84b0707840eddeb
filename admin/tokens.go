package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/store"
)

// How long a token lives where neither the request nor the profile says.
const (
	sessionLife = time.Hour
	privateLife = 90 * 24 * time.Hour
)

// NewToken describes a token to issue. Kind is private where empty, Permissions
// are the membership's.
type NewToken struct {
	Profile     identity.ProfileName
	Kind        store.TokenKind
	Name        string
	Org         identity.OrgID // empty: the token names none
	User        identity.UserID
	Permissions []string
	Expiry      Expiry
}

// NewSignedToken is a token that was just issued. Signed is shown to its owner once.
type NewSignedToken struct {
	Token  store.Token
	Signed identity.Secret
}

// IssueToken signs a token of Postern's own issuer.
func (s *Service) IssueToken(ctx context.Context, by store.Actor, n NewToken) (NewSignedToken, error) {
	now := s.clock().UTC()
	if n.Kind == "" {
		n.Kind = store.TokenPrivate
	}
	var c checks
	p, issuer := c.tokenProfile(s, n.Profile)
	if n.Kind != store.TokenPrivate && n.Kind != store.TokenSession {
		c.add("kind", "is unknown", "use session or private")
	}
	c.newID("organization_id", string(n.Org))
	c.id("user_id", string(n.User))
	c.text("name", n.Name, maxName)
	c.permissions("permissions", n.Permissions)
	expires := c.tokenExpiry(n.Expiry, now, now.Add(life(n.Kind)), issuer)
	if err := c.err(); err != nil {
		return NewSignedToken{}, err
	}
	token := store.Token{
		ID: identity.TokenID(uuid.NewString()), Profile: p.Name, Kind: n.Kind, Name: n.Name,
		Org: n.Org, User: n.User, Grants: identity.NewGrants(n.Permissions...), IssuedAt: now, ExpiresAt: expires,
	}
	// Nobody can have missed a new token, so no replica needs to be waited for.
	return s.issue(ctx, by, p, token)
}

// issue signs and stores a token whose fields are valid by themselves. Permissions
// that are not given are the membership's.
func (s *Service) issue(ctx context.Context, by store.Actor, p *profile.Profile, token store.Token) (NewSignedToken, error) {
	user, err := s.store.User(ctx, token.User)
	if err != nil {
		return NewSignedToken{}, failed(err, meaning{notFound: noUser(token.User)})
	}
	if user.Issuer != "" {
		return NewSignedToken{}, invalid("user_id", fmt.Sprintf("the tokens of %q come from %s", user.ID, user.Issuer), "name one of Postern's own users")
	}
	spec := TokenSpec{
		ID: token.ID, Profile: p, Subject: user.Subject, User: user.ID, Org: token.Org,
		Environment: p.Environment, IssuedAt: token.IssuedAt, ExpiresAt: token.ExpiresAt,
	}
	if token.Org != "" {
		org, err := s.store.Organization(ctx, token.Org)
		if err != nil {
			return NewSignedToken{}, failed(err, meaning{notFound: noOrganization(token.Org)})
		}
		membership, err := s.member(ctx, identity.MembershipRef{Org: token.Org, User: token.User})
		if err != nil {
			return NewSignedToken{}, err
		}
		spec.OrgSlug = org.Slug
		if len(token.Grants.List()) == 0 {
			token.Grants = membership.Grants
		}
	}
	spec.Grants = token.Grants
	signed, err := s.signer.SignToken(ctx, spec)
	if err != nil {
		return NewSignedToken{}, &Error{Code: Unavailable, message: "the token could not be signed; see the server's log", cause: err}
	}
	if token, err = s.store.CreateToken(ctx, by, token); err != nil {
		return NewSignedToken{}, failed(err, meaning{})
	}
	return NewSignedToken{Token: token, Signed: signed}, nil
}

// Token finds one by its jti.
func (s *Service) Token(ctx context.Context, id identity.TokenID) (store.Token, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.Token{}, c.err()
	}
	token, err := s.store.Token(ctx, id)
	if err != nil {
		return token, failed(err, noToken)
	}
	return token, nil
}

// ListTokens returns a page and the token of the next.
func (s *Service) ListTokens(ctx context.Context, filter store.TokenFilter, p Paging) ([]store.Token, string, error) {
	var c checks
	c.newID("organization_id", string(filter.Org))
	c.newID("user_id", string(filter.User))
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	tokens, next, err := s.store.ListTokens(ctx, filter, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return tokens, next, nil
}

// RotatedToken is what a rotation made. Signed is the successor, shown once.
type RotatedToken struct {
	Original     store.Token
	Successor    store.Token
	Signed       identity.Secret
	Confirmation Confirmation // of the original's revocation
}

// RotateToken issues a successor, which ends when the original would have unless
// another end is asked for, and then revokes the original.
func (s *Service) RotateToken(ctx context.Context, by store.Actor, id identity.TokenID, end Expiry) (RotatedToken, error) {
	original, err := s.Token(ctx, id)
	if err != nil {
		return RotatedToken{}, err
	}
	if !original.RevokedAt.IsZero() {
		return RotatedToken{}, refuse(Precondition, "the token is revoked and cannot be rotated; issue a new one")
	}
	now := s.clock().UTC()
	var c checks
	p, issuer := c.tokenProfile(s, original.Profile)
	expires := c.tokenExpiry(end, now, original.ExpiresAt, issuer)
	if !end.given && !expires.After(now) {
		c.add("expire_time", "is missing, and the original's is over", "say when the successor ends")
	}
	if err := c.err(); err != nil {
		return RotatedToken{}, err
	}
	successor := original
	successor.ID = identity.TokenID(uuid.NewString())
	successor.IssuedAt, successor.ExpiresAt = now, expires
	issued, err := s.issue(ctx, by, p, successor)
	if err != nil {
		return RotatedToken{}, err
	}
	revoked, err := s.store.RevokeToken(ctx, by, identity.TokenRef{ID: id}, s.clock())
	if err != nil {
		return RotatedToken{}, failed(err, noToken)
	}
	original.RevokedAt, original.Revision = revoked.RevokedAt, revoked.Revision
	confirmation := s.confirm(ctx, max(revoked.Revision, issued.Token.Revision))
	return RotatedToken{Original: original, Successor: issued.Token, Signed: issued.Signed, Confirmation: confirmation}, nil
}

// RevokeToken withdraws a token of Postern's own, or refuses another issuer's
// from now on. Repeating it changes nothing.
func (s *Service) RevokeToken(ctx context.Context, by store.Actor, ref identity.TokenRef) (identity.Token, Confirmation, error) {
	var c checks
	if ref.Issuer == "" {
		c.id("id", string(ref.ID))
	} else if c.required("id", string(ref.ID), "name the token's jti") {
		c.visible("id", string(ref.ID), maxSubject)
	}
	c.visible("issuer", string(ref.Issuer), maxIssuer)
	if err := c.err(); err != nil {
		return identity.Token{}, Confirmation{}, err
	}
	token, err := s.store.RevokeToken(ctx, by, ref, s.clock())
	if err != nil {
		return token, Confirmation{}, failed(err, noToken)
	}
	return token, s.confirm(ctx, token.Revision), nil
}

// RevokeUserTokens withdraws every token of a user that was issued until now,
// whoever issued it. It returns how many of Postern's own it withdrew.
func (s *Service) RevokeUserTokens(ctx context.Context, by store.Actor, id identity.UserID) (store.User, int, Confirmation, error) {
	var c checks
	if c.id("user_id", string(id)); c.err() != nil {
		return store.User{}, 0, Confirmation{}, c.err()
	}
	user, revoked, err := s.store.RevokeUserTokens(ctx, by, id, s.clock())
	if err != nil {
		return user, 0, Confirmation{}, failed(err, meaning{notFound: noUser(id)})
	}
	return user, revoked, s.confirmLatest(ctx), nil
}

// noToken does not repeat the id: it might be a signed token, given by mistake.
var noToken = meaning{notFound: "there is no token with this id; an id is the token's jti, and the list of tokens shows it"}

// tokenProfile finds a profile that accepts tokens of Postern's own issuer.
func (c *checks) tokenProfile(s *Service, name identity.ProfileName) (*profile.Profile, profile.Issuer) {
	p := c.profile(s, name)
	if p == nil {
		return nil, profile.Issuer{}
	}
	for _, issuer := range p.Issuers {
		if issuer.Own {
			return p, issuer
		}
	}
	c.add("profile", fmt.Sprintf("%q accepts no tokens of Postern's own issuer", name), "use a profile that does")
	return nil, profile.Issuer{}
}

// tokenExpiry settles a token's end in whole seconds, as an exp claim keeps it
// (RFC 7519 § 2, NumericDate).
func (c *checks) tokenExpiry(e Expiry, now, byDefault time.Time, issuer profile.Issuer) time.Time {
	before := len(c.violations)
	end := c.expiry(e, now, byDefault, issuer.MaxLifetime).Truncate(time.Second)
	if e.given && len(c.violations) == before && !end.After(now) {
		c.add("ttl", "is shorter than a second", "choose a longer one")
	}
	return end
}

func life(kind store.TokenKind) time.Duration {
	if kind == store.TokenSession {
		return sessionLife
	}
	return privateLife
}
