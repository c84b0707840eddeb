// Package feed is what mutations say to the change feed, the same in every
// engine, and who is woken by it. It knows no database.
package feed

import (
	"sync"

	"postern/authz/identity"
	"postern/store"
)

// Organization is the change of an organization.
func Organization(id identity.OrgID) store.Change {
	return store.Change{Kind: identity.ChangeOrganization, Org: id}
}

// User is the change of a user.
func User(id identity.UserID) store.Change {
	return store.Change{Kind: identity.ChangeUser, User: id}
}

// Membership is the change of a user's place in an organization.
func Membership(org identity.OrgID, user identity.UserID) store.Change {
	return store.Change{Kind: identity.ChangeMembership, Org: org, User: user}
}

// Key is the change of a key.
func Key(k store.Key) store.Change {
	return store.Change{Kind: identity.ChangeKey, Org: k.Org, User: k.User, Key: k.ID, Digest: k.Digest}
}

// Token is the change of a minted token.
func Token(t store.Token) store.Change {
	return store.Change{Kind: identity.ChangeToken, Org: t.Org, User: t.User, Token: identity.TokenRef{ID: t.ID}}
}

// Refusal is the change of a foreign token.
func Refusal(ref identity.TokenRef) store.Change {
	return store.Change{Kind: identity.ChangeToken, Token: ref}
}

// Resource is the change of a resource.
func Resource(r store.Resource) store.Change {
	return store.Change{Kind: identity.ChangeResource, Org: r.Org, Resource: r.ID}
}

// Account is the change of a credit account.
func Account(org identity.OrgID) store.Change {
	return store.Change{Kind: identity.ChangeAccount, Org: org}
}

// SigningKey is the change of the signing keys.
func SigningKey() store.Change { return store.Change{Kind: identity.ChangeSigningKey} }

// Hub holds the channels to wake. The zero value is ready.
type Hub struct {
	mu       sync.Mutex
	channels map[chan struct{}]struct{}
}

// Subscribe returns a channel that receives after wake-ups, several of which may
// share one, and what ends it.
func (h *Hub) Subscribe() (<-chan struct{}, func()) {
	// Room for one: a wake-up that is still waiting stands for all later ones.
	channel := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.channels == nil {
		h.channels = make(map[chan struct{}]struct{})
	}
	h.channels[channel] = struct{}{}
	return channel, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.channels, channel)
	}
}

// Wake wakes everyone who has subscribed, and waits for nobody.
func (h *Hub) Wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for channel := range h.channels {
		select {
		case channel <- struct{}{}:
		default:
		}
	}
}
