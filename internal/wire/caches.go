// Package wire is the composition root: it makes the server out of its parts and
// is the only place that knows them all. It decides nothing itself.
package wire

import (
	"context"
	"errors"
	"time"

	"postern/authz"
	"postern/authz/admission"
	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/meter"
	"postern/cache"
	"postern/store"
)

// caches are the tiers of one replica, behind one fence.
type caches struct {
	fence       *cache.Fence
	history     *cache.History
	keys        *cache.Tier[identity.Digest, packedKey]
	orgs        *cache.Tier[identity.OrgID, *identity.Organization]
	slugs       *cache.Tier[identity.OrgSlug, *identity.Organization]
	users       *cache.Tier[identity.UserID, *identity.User]
	subjects    *cache.Tier[identity.SubjectRef, *identity.User]
	memberships *cache.Tier[identity.MembershipRef, *identity.Membership]
	tokens      *cache.Tier[identity.TokenRef, *identity.Token]
	resources   *cache.Tier[identity.ResourceRef, *identity.Resource]
}

// The loads that may be under way at once, those that wait for the store included.
// A wrong key of a slow format waits for its refusal within its load, so keys need
// many places.
const (
	keyLoads    = 2048
	recordLoads = 1024
)

func newCaches(ttl, negativeTTL time.Duration, size int, clock func() time.Time) (*caches, error) {
	c := &caches{fence: &cache.Fence{}, history: cache.NewHistory(feedReplay, 0)}
	options := cache.Options{
		TTL: ttl, NegativeTTL: negativeTTL, Size: size, NegativeSize: max(1000, size/10),
		Loads: recordLoads, Clock: clock,
	}
	keyOptions := options
	keyOptions.Loads = keyLoads
	return c, errors.Join(
		make1(&c.keys, c.fence, keyOptions),
		make1(&c.orgs, c.fence, options),
		make1(&c.slugs, c.fence, options),
		make1(&c.users, c.fence, options),
		make1(&c.subjects, c.fence, options),
		make1(&c.memberships, c.fence, options),
		make1(&c.tokens, c.fence, options),
		make1(&c.resources, c.fence, options),
	)
}

func make1[K comparable, V any](tier **cache.Tier[K, V], fence *cache.Fence, options cache.Options) (err error) {
	*tier, err = cache.NewTier[K, V](fence, options)
	return err
}

// apply forgets what a change may have made untrue.
func (c *caches) apply(change identity.Change) {
	switch change.Kind {
	case identity.ChangeKey:
		if change.Digest != (identity.Digest{}) {
			c.keys.Forget(change.Digest)
			c.keys.Bury(change.Digest, change.Revision)
			return
		}
		// The digest of a presented key is not known where only a slow hash is kept.
		c.keys.ForgetWhere(func(_ identity.Digest, key packedKey) bool { return key.id() == change.Key })
		c.keys.ForgetAbsent()
	case identity.ChangeOrganization:
		c.orgs.Forget(change.Org)
		c.orgs.Bury(change.Org, change.Revision)
		c.slugs.ForgetWhere(func(_ identity.OrgSlug, org *identity.Organization) bool { return org.ID == change.Org })
		c.slugs.ForgetAbsent()
	case identity.ChangeUser:
		c.users.Forget(change.User)
		c.users.Bury(change.User, change.Revision)
		c.subjects.ForgetWhere(func(_ identity.SubjectRef, user *identity.User) bool { return user.ID == change.User })
		c.subjects.ForgetAbsent()
		c.tokens.ForgetAll() // all tokens of a user may have been withdrawn with it
	case identity.ChangeMembership:
		ref := identity.MembershipRef{Org: change.Org, User: change.User}
		c.memberships.Forget(ref)
		c.memberships.Bury(ref, change.Revision)
	case identity.ChangeToken:
		c.tokens.Forget(change.Token)
		c.tokens.Bury(change.Token, change.Revision)
	case identity.ChangeResource:
		// A foreign resource that was found by its slug may now be overruled by an own one.
		c.resources.ForgetWhere(func(ref identity.ResourceRef, r *identity.Resource) bool {
			return r.ID == change.Resource || r.Org != ref.Org
		})
		c.resources.ForgetAbsent()
	}
}

// forget empties every tier.
func (c *caches) forget() {
	c.keys.ForgetAll()
	c.orgs.ForgetAll()
	c.slugs.ForgetAll()
	c.users.ForgetAll()
	c.subjects.ForgetAll()
	c.memberships.ForgetAll()
	c.tokens.ForgetAll()
	c.resources.ForgetAll()
}

// ports are the engine's ports over the caches and the store behind them, which is
// read within the limiter's bounds.
func (c *caches) ports(s store.Store, reads *admission.Limiter, authenticator *credential.Authenticator) authz.Ports {
	return authz.Ports{
		Keys: keys{c.keys, authenticator},
		Organizations: behind(c.orgs, reads, func(ctx context.Context, id identity.OrgID) (*identity.Organization, error) {
			org, err := s.Organization(ctx, id)
			return &org.Organization, err
		}),
		Slugs: behind(c.slugs, reads, func(ctx context.Context, slug identity.OrgSlug) (*identity.Organization, error) {
			org, err := s.OrganizationBySlug(ctx, slug)
			return &org.Organization, err
		}),
		Users: behind(c.users, reads, func(ctx context.Context, id identity.UserID) (*identity.User, error) {
			user, err := s.User(ctx, id)
			return &user.User, err
		}),
		Subjects: behind(c.subjects, reads, func(ctx context.Context, ref identity.SubjectRef) (*identity.User, error) {
			user, err := s.UserBySubject(ctx, ref)
			return &user.User, err
		}),
		Memberships: behind(c.memberships, reads, func(ctx context.Context, ref identity.MembershipRef) (*identity.Membership, error) {
			m, err := s.Membership(ctx, ref)
			return &m.Membership, err
		}),
		TokenStates: behind(c.tokens, reads, func(ctx context.Context, ref identity.TokenRef) (*identity.Token, error) {
			token, err := s.TokenState(ctx, ref)
			return &token, err
		}),
		Resources: behind(c.resources, reads, func(ctx context.Context, ref identity.ResourceRef) (*identity.Resource, error) {
			r, err := s.FindResource(ctx, ref)
			return &r, err
		}),
		Ledger: ledger{s},
	}
}

// behind puts a store's read behind a tier. These records are only asked for once a
// credential has proved good, so they go first.
func behind[K comparable, V any](tier *cache.Tier[K, *V], reads *admission.Limiter, read func(context.Context, K) (*V, error)) cache.Lookup[K, *V] {
	return cache.Lookup[K, *V]{Tier: tier, Behind: func(ctx context.Context, key K) (*V, authz.Presence, error) {
		value, err := admitted(admission.AsKnown(ctx), reads, func() (*V, error) { return read(ctx, key) })
		switch {
		case err == nil:
			return value, authz.Found, nil
		case errors.Is(err, store.ErrNotFound):
			return nil, authz.Absent, nil
		case errors.Is(err, admission.ErrShed):
			return nil, authz.Busy, err
		}
		return nil, authz.Unavailable, err
	}}
}

// admitted reads the store once there is a place.
func admitted[V any](ctx context.Context, reads *admission.Limiter, read func() (V, error)) (V, error) {
	leave, err := reads.Enter(ctx)
	if err != nil {
		var none V
		return none, err
	}
	defer leave()
	return read()
}

// keys is the engine's Keys: the tier, and behind it the authenticator.
type keys struct {
	*cache.Tier[identity.Digest, packedKey]
	authenticator *credential.Authenticator
}

// Cached tells whose the key of the digest is, if that is known.
func (k keys) Cached(digest identity.Digest, now time.Time) (identity.Key, authz.Presence) {
	return unpacked(digest)(k.Tier.Cached(digest, now))
}

// Stale tells whose it was, as long ago as the age.
func (k keys) Stale(digest identity.Digest, now time.Time, age time.Duration) (identity.Key, authz.Presence) {
	return unpacked(digest)(k.Tier.Stale(digest, now, age))
}

// Load authenticates a raw key that is not cached.
func (k keys) Load(ctx context.Context, format *credential.Format, raw string, digest identity.Digest) (identity.Key, authz.Presence, error) {
	packed, presence, err := k.Tier.Load(ctx, digest, func(ctx context.Context) (packedKey, authz.Presence, error) {
		key, err := k.authenticator.Authenticate(ctx, format, raw)
		switch {
		case err == nil:
			return pack(key), authz.Found, nil
		case errors.Is(err, credential.ErrNoKey):
			return packedKey{}, authz.Absent, nil
		case errors.Is(err, credential.ErrOverloaded), errors.Is(err, admission.ErrShed):
			return packedKey{}, authz.Busy, err
		}
		return packedKey{}, authz.Unavailable, err
	})
	key, presence := unpacked(digest)(packed, presence)
	return key, presence, err
}

// unpacked unpacks what was found of the digest.
func unpacked(digest identity.Digest) func(packedKey, authz.Presence) (identity.Key, authz.Presence) {
	return func(packed packedKey, presence authz.Presence) (identity.Key, authz.Presence) {
		if presence != authz.Found {
			return identity.Key{}, presence
		}
		return packed.unpack(digest), presence
	}
}

// records are the key records the authenticator verifies against. A key holds a
// place at the store while its record is read, and none while it waits or is hashed.
type records struct {
	keys  store.Keys
	reads *admission.Limiter
}

func (r records) KeyByDigest(ctx context.Context, digest identity.Digest) (credential.Record, error) {
	return record(admitted(ctx, r.reads, func() (store.Key, error) { return r.keys.KeyByDigest(ctx, digest) }))
}

func (r records) KeyByID(ctx context.Context, id identity.KeyID) (credential.Record, error) {
	return record(admitted(ctx, r.reads, func() (store.Key, error) { return r.keys.Key(ctx, id) }))
}

func record(key store.Key, err error) (credential.Record, error) {
	if errors.Is(err, store.ErrNotFound) {
		return credential.Record{}, credential.ErrNoRecord
	}
	return credential.Record{Key: key.Key, Hash: key.Hash}, err
}

// ledger is the engine's Ledger over the store's accounts.
type ledger struct{ store.Credits }

// Affords reports whether the account covers the cost now.
func (l ledger) Affords(ctx context.Context, org identity.OrgID, cost identity.Credits) (bool, error) {
	account, err := l.Account(ctx, org)
	return err == nil && (account.PayAsYouGo || account.Balance >= cost), err
}

var _ meter.Ledger = ledger{}
