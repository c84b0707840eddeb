package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/store"
)

// NewKey describes an API key to create. An empty Environment is the profile's.
type NewKey struct {
	Profile     identity.ProfileName
	Org         identity.OrgID
	User        identity.UserID // empty: a service key
	Name        string
	Description string
	Environment identity.Environment
	Permissions []string
	Expiry      Expiry
}

// NewSecretKey is a key that was just made. Raw is shown to its owner once.
type NewSecretKey struct {
	Key store.Key
	Raw identity.Secret
}

// CreateKey mints a key in the format of its profile. LimitReached where the
// profile has no room for another active key.
func (s *Service) CreateKey(ctx context.Context, by store.Actor, n NewKey) (NewSecretKey, error) {
	now := s.clock().UTC()
	var c checks
	p := c.keyProfile(s, n.Profile)
	c.id("organization_id", string(n.Org))
	c.newID("user_id", string(n.User))
	c.text("name", n.Name, maxName)
	c.text("description", n.Description, maxDescription)
	c.label("environment", string(n.Environment))
	c.permissions("permissions", n.Permissions)
	var expires time.Time
	if p != nil {
		expires = c.expiry(n.Expiry, now, time.Time{}, p.Keys.MaxLifetime)
	}
	if err := c.err(); err != nil {
		return NewSecretKey{}, err
	}
	if n.User != "" {
		if _, err := s.member(ctx, identity.MembershipRef{Org: n.Org, User: n.User}); err != nil {
			return NewSecretKey{}, err
		}
	}
	if n.Environment == "" {
		n.Environment = p.Environment
	}
	key, raw, err := s.mint(p, store.Key{
		Key: identity.Key{
			Org: n.Org, User: n.User, Profile: p.Name, Environment: n.Environment,
			Grants: identity.NewGrants(n.Permissions...), ExpiresAt: expires,
		},
		Name: n.Name, Description: n.Description, CreatedAt: now,
	})
	if err != nil {
		return NewSecretKey{}, err
	}
	limit := store.KeyLimit{Now: now}
	if p.KeyManagement != nil {
		limit.Max = p.KeyManagement.MaxActive
	}
	key, err = s.store.CreateKey(ctx, by, key, limit)
	if err != nil {
		return NewSecretKey{}, failed(err, meaning{
			reference: invalid("organization_id", noOrganization(n.Org), "create it first"),
			limit:     fmt.Sprintf("the profile %q has %d active keys, which is its limit; revoke one first", p.Name, limit.Max),
		})
	}
	// Nobody can have missed a new random key, so no replica needs to be waited for.
	return NewSecretKey{Key: key, Raw: raw}, nil
}

// mint makes the secret of a key and fills in what is kept of it.
func (s *Service) mint(p *profile.Profile, key store.Key) (store.Key, identity.Secret, error) {
	minted, err := p.Keys.Mint(s.random)
	if err != nil {
		return store.Key{}, identity.Secret{}, &Error{Code: Unavailable, message: "no key could be minted; try again", cause: err}
	}
	key.ID, key.Digest, key.Hash, key.Hint = minted.ID, minted.Digest, minted.Hash, minted.Hint
	return key, minted.Raw, nil
}

// Key finds one by id, revoked and expired ones too.
func (s *Service) Key(ctx context.Context, id identity.KeyID) (store.Key, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.Key{}, c.err()
	}
	key, err := s.store.Key(ctx, id)
	if err != nil {
		return key, failed(err, noKey)
	}
	return key, nil
}

// KeyUsage says how a key was used, as far as the replicas have reported it.
func (s *Service) KeyUsage(ctx context.Context, id identity.KeyID) (store.KeyUsage, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.KeyUsage{}, c.err()
	}
	usage, err := s.usages.Usage(ctx, id)
	if err != nil {
		return store.KeyUsage{}, failed(err, noKey)
	}
	return usage, nil
}

// KeyQuery narrows a list of keys; empty fields match all.
type KeyQuery struct {
	Profile    identity.ProfileName
	Org        identity.OrgID
	ActiveOnly bool // leaves out the revoked and the expired ones
}

// ListKeys returns a page and the token of the next.
func (s *Service) ListKeys(ctx context.Context, q KeyQuery, p Paging) ([]store.Key, string, error) {
	var c checks
	c.newID("organization_id", string(q.Org))
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	filter := store.KeyFilter{Profile: q.Profile, Org: q.Org, ActiveOnly: q.ActiveOnly, Now: s.clock()}
	keys, next, err := s.store.ListKeys(ctx, filter, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return keys, next, nil
}

// RotatedKey is what a rotation made. Raw is the successor's, shown once.
type RotatedKey struct {
	Original     store.Key
	Successor    store.Key
	Raw          identity.Secret
	Confirmation Confirmation // of the original's end
}

// RotateKey mints a successor. The original goes on for the overlap at most and
// never beyond its own expiry; the successor ends when the original would have,
// unless another end is asked for.
func (s *Service) RotateKey(ctx context.Context, by store.Actor, id identity.KeyID, overlap time.Duration, end Expiry) (RotatedKey, error) {
	original, err := s.Key(ctx, id)
	if err != nil {
		return RotatedKey{}, err
	}
	now := s.clock().UTC()
	var c checks
	p := c.keyProfile(s, original.Profile)
	if overlap < 0 || overlap > maxLife {
		c.add("overlap", "is out of range", "use 0 to end the original at once, or a longer time")
	}
	var expires time.Time
	if p != nil {
		expires = c.expiry(end, now, original.ExpiresAt, p.Keys.MaxLifetime)
	}
	if !end.given && !expires.IsZero() && !expires.After(now) {
		c.add("expire_time", "is missing, and the original's is over", "say when the successor ends")
	}
	if err := c.err(); err != nil {
		return RotatedKey{}, err
	}
	if err := rotatable(original); err != nil {
		return RotatedKey{}, err
	}
	successor := original
	successor.ExpiresAt, successor.CreatedAt = expires, now
	successor, raw, err := s.mint(p, successor)
	if err != nil {
		return RotatedKey{}, err
	}
	original, successor, err = s.store.RotateKey(ctx, by, id, successor, now.Add(overlap))
	if err != nil {
		m := noKey
		m.state = "the key was revoked or rotated meanwhile; look at it again"
		return RotatedKey{}, failed(err, m)
	}
	confirmation := s.confirm(ctx, max(original.Revision, successor.Revision))
	return RotatedKey{Original: original, Successor: successor, Raw: raw, Confirmation: confirmation}, nil
}

func rotatable(key store.Key) error {
	switch {
	case !key.RevokedAt.IsZero():
		return refuse(Precondition, "the key is revoked and cannot be rotated; create a new one")
	case key.Disabled:
		return refuse(Precondition, "the key is disabled and cannot be rotated; enable it first")
	case key.Successor != "":
		return refuse(Precondition, fmt.Sprintf("the key was rotated before; rotate its successor %q", key.Successor))
	}
	return nil
}

// RevokeKey withdraws a key for good. Repeating it changes nothing.
func (s *Service) RevokeKey(ctx context.Context, by store.Actor, id identity.KeyID) (store.Key, Confirmation, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.Key{}, Confirmation{}, c.err()
	}
	key, err := s.store.RevokeKey(ctx, by, id, s.clock())
	if err != nil {
		return key, Confirmation{}, failed(err, noKey)
	}
	return key, s.confirm(ctx, key.Revision), nil
}

// SetKeyDisabled refuses a key, or no longer.
func (s *Service) SetKeyDisabled(ctx context.Context, by store.Actor, id identity.KeyID, disabled bool) (store.Key, Confirmation, error) {
	var c checks
	if c.id("id", string(id)); c.err() != nil {
		return store.Key{}, Confirmation{}, c.err()
	}
	key, err := s.store.SetKeyDisabled(ctx, by, id, disabled)
	if err != nil {
		return key, Confirmation{}, failed(err, noKey)
	}
	return key, s.confirm(ctx, key.Revision), nil
}

// noKey does not repeat the id: it might be a raw key, given by mistake.
var noKey = meaning{notFound: "there is no key with this id; an id is not the key itself, and the list of keys shows it"}

// keyProfile finds a profile that has API keys.
func (c *checks) keyProfile(s *Service, name identity.ProfileName) *profile.Profile {
	p := c.profile(s, name)
	if p != nil && p.Keys == nil {
		c.add("profile", fmt.Sprintf("%q has no API keys", name), "use a profile that has, or issue a token")
		return nil
	}
	return p
}

func (c *checks) profile(s *Service, name identity.ProfileName) *profile.Profile {
	if !c.required("profile", string(name), "name one of the server's profiles") {
		return nil
	}
	p, ok := s.profile(name)
	if !ok {
		c.add("profile", fmt.Sprintf("there is no profile %q", name), "name one of the server's profiles")
		return nil
	}
	return p
}

// member asks that the user belongs to the organization.
func (s *Service) member(ctx context.Context, ref identity.MembershipRef) (store.Membership, error) {
	m, err := s.store.Membership(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return m, invalid("user_id", fmt.Sprintf("the user %q is not a member of the organization %q", ref.User, ref.Org), "add the user to it first")
	}
	if err != nil {
		return m, failed(err, meaning{})
	}
	return m, nil
}
