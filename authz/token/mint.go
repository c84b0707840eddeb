package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"postern/authz/identity"
	"postern/authz/profile"
)

// MintRequest is what a token of Postern's own issuer shall say. Empty fields are
// left out; ID, Subject, IssuedAt and ExpiresAt are needed.
type MintRequest struct {
	Profile     identity.ProfileName // whose signing key signs
	ID          identity.TokenID
	Subject     string
	Org         identity.OrgID
	OrgSlug     identity.OrgSlug
	Grants      identity.Grants
	Environment identity.Environment
	IssuedAt    time.Time
	ExpiresAt   time.Time // whole seconds count
}

// Mint signs a token under the rule of a profile's own issuer: with its audience,
// its names of the claims, and the profile's newest signing key of an allowed
// algorithm. The error never holds the token.
func Mint(ring *KeyRing, rule *profile.Issuer, ownIssuer identity.Issuer, r MintRequest) (identity.Secret, error) {
	if err := r.check(rule, ownIssuer); err != nil {
		return identity.Secret{}, fmt.Errorf("minting a token: %w", err)
	}
	key, err := ring.signing(r.Profile, rule.Algorithms, r.IssuedAt)
	if err != nil {
		return identity.Secret{}, fmt.Errorf("minting a token: %w", err)
	}
	body, err := r.body(rule, ownIssuer)
	if err != nil {
		return identity.Secret{}, fmt.Errorf("minting a token: %w", err)
	}
	unsigned := jwt.NewWithClaims(jwt.GetSigningMethod(key.Algorithm), body)
	unsigned.Header["kid"] = key.ID
	signed, err := unsigned.SignedString(key.signer)
	if err != nil {
		return identity.Secret{}, fmt.Errorf("minting a token: signing with key %q: %w", key.ID, err)
	}
	if len(signed) > MaxLength {
		return identity.Secret{}, fmt.Errorf("minting a token: it would be %d bytes long, more than %d; grant fewer permissions", len(signed), MaxLength)
	}
	return identity.NewSecret(signed), nil
}

func (r *MintRequest) check(rule *profile.Issuer, ownIssuer identity.Issuer) error {
	switch {
	case !rule.Own:
		return errors.New("the issuer is another party's, which signs its own tokens")
	case ownIssuer == "":
		return errors.New("the server has no issuer name; configure one")
	case r.ID == "" || r.Subject == "":
		return errors.New("id and subject must be set")
	case len(r.Grants.List()) > identity.MaxGrants:
		return fmt.Errorf("permissions must be at most %d", identity.MaxGrants)
	case r.IssuedAt.IsZero() || !r.ExpiresAt.After(r.IssuedAt):
		return errors.New("the expiry must be later than the time of issue")
	case rule.MaxLifetime > 0 && r.ExpiresAt.Sub(r.IssuedAt) > rule.MaxLifetime:
		return fmt.Errorf("the expiry must be at most %s after the time of issue", rule.MaxLifetime)
	}
	return nil
}

func (r *MintRequest) body(rule *profile.Issuer, ownIssuer identity.Issuer) (jwt.MapClaims, error) {
	body := jwt.MapClaims{
		"iss": string(ownIssuer),
		"jti": string(r.ID),
		"iat": r.IssuedAt.Unix(),
		"exp": r.ExpiresAt.Unix(),
	}
	switch len(rule.Audiences) {
	case 0:
	case 1:
		body["aud"] = rule.Audiences[0]
	default:
		body["aud"] = rule.Audiences
	}
	if len(rule.AuthorizedParties) > 0 {
		body["azp"] = rule.AuthorizedParties[0]
	}
	names := rule.Claims
	for _, claim := range []struct {
		path  string
		value any
		empty bool
	}{
		{userClaim(rule), r.Subject, false},
		{names.Organization, string(r.Org), r.Org == ""},
		{names.OrganizationSlug, string(r.OrgSlug), r.OrgSlug == ""},
		{names.Environment, string(r.Environment), r.Environment == ""},
		{names.Permissions, r.Grants.List(), len(r.Grants.List()) == 0},
	} {
		if claim.path == "" || claim.empty {
			continue
		}
		if err := put(body, claim.path, claim.value); err != nil {
			return nil, err
		}
	}
	if _, taken := body[defaultUserClaim]; !taken {
		body[defaultUserClaim] = r.Subject
	}
	return body, nil
}

// put is the reverse of at.
func put(body map[string]any, path string, value any) error {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		inner, present := body[name]
		if !present {
			inner = make(map[string]any)
			body[name] = inner
		}
		object, ok := inner.(map[string]any)
		if !ok {
			return fmt.Errorf("the claim %q lies inside another that is no object; rename one in the profile", path)
		}
		body = object
	}
	last := names[len(names)-1]
	if _, taken := body[last]; taken {
		return fmt.Errorf("the claim %q is taken; rename it in the profile", path)
	}
	body[last] = value
	return nil
}
