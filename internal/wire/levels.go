package wire

import (
	"time"

	"postern/authz/identity"
	"postern/cache"
)

// sharing is what every tier's view of the shared cache has in common.
type sharing struct {
	shared  cache.Shared
	writes  *cache.Writes
	prefix  string // of this store
	secret  []byte // of this store's replicas
	ttl     time.Duration
	timeout time.Duration
	applied func() identity.Revision
	seen    func(cache.Event)
}

// share puts the shared cache between every tier and the store.
func (c *caches) share(s sharing) {
	level(c, c.keys, s, "key", identity.Digest.String, func(_ identity.Digest, v packedKey) []cache.Subject { return one(cache.KeySubject(v.id())) })
	level(c, c.orgs, s, "org", text[identity.OrgID], func(_ identity.OrgID, v *identity.Organization) []cache.Subject {
		return one(cache.OrganizationSubject(v.ID))
	})
	level(c, c.slugs, s, "slug", text[identity.OrgSlug], func(_ identity.OrgSlug, v *identity.Organization) []cache.Subject {
		return one(cache.OrganizationSubject(v.ID))
	})
	level(c, c.users, s, "user", text[identity.UserID], func(_ identity.UserID, v *identity.User) []cache.Subject { return one(cache.UserSubject(v.ID)) })
	level(c, c.subjects, s, "subject",
		func(ref identity.SubjectRef) string { return string(ref.Issuer) + "\x00" + ref.Subject },
		func(_ identity.SubjectRef, v *identity.User) []cache.Subject { return one(cache.UserSubject(v.ID)) })
	level(c, c.memberships, s, "membership",
		func(ref identity.MembershipRef) string { return string(ref.Org) + "\x00" + string(ref.User) },
		func(ref identity.MembershipRef, _ *identity.Membership) []cache.Subject {
			return one(cache.MembershipSubject(ref))
		})
	level(c, c.tokens, s, "token",
		func(ref identity.TokenRef) string { return string(ref.Issuer) + "\x00" + string(ref.ID) },
		func(ref identity.TokenRef, _ *identity.Token) []cache.Subject { return one(cache.TokenSubject(ref)) })
	level(c, c.resources, s, "resource",
		func(ref identity.ResourceRef) string {
			return string(ref.Org) + "\x00" + string(ref.Kind) + "\x00" + ref.Slug + "\x00" + string(ref.ID)
		},
		func(ref identity.ResourceRef, v *identity.Resource) []cache.Subject {
			if v.Org != ref.Org { // an own one of the same slug would overrule it
				return []cache.Subject{cache.ResourceSubject(v.ID), cache.AnyOf(identity.ChangeResource)}
			}
			return one(cache.ResourceSubject(v.ID))
		})
}

func one(s cache.Subject) []cache.Subject { return []cache.Subject{s} }

func text[S ~string](s S) string { return string(s) }

func level[K comparable, V any](c *caches, tier *cache.Tier[K, V], s sharing, kind string, key func(K) string, subjects func(K, V) []cache.Subject) {
	tier.Share(&cache.Level[K, V]{
		Shared: s.shared, Writes: s.writes, Prefix: s.prefix + kind + ":", KeyText: key,
		Subjects: subjects,
		History:  c.history, Secret: s.secret, TTL: s.ttl, Timeout: s.timeout, Clock: time.Now, Seen: s.seen,
	}, s.applied)
}
