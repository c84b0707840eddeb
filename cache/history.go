package cache

import (
	"sync"

	"postern/authz/identity"
)

// Subject names a record that a cached value was made from.
type Subject struct {
	Kind identity.ChangeKind
	ID   string
}

// SubjectOf is the record a change touches.
func SubjectOf(c identity.Change) Subject {
	switch c.Kind {
	case identity.ChangeKey:
		return KeySubject(c.Key)
	case identity.ChangeOrganization:
		return OrganizationSubject(c.Org)
	case identity.ChangeUser:
		return UserSubject(c.User)
	case identity.ChangeMembership:
		return MembershipSubject(identity.MembershipRef{Org: c.Org, User: c.User})
	case identity.ChangeToken:
		return TokenSubject(c.Token)
	case identity.ChangeResource:
		return ResourceSubject(c.Resource)
	}
	return Subject{Kind: c.Kind}
}

// AnyOf names all records of a kind: for a value that a new one may overrule.
func AnyOf(kind identity.ChangeKind) Subject { return Subject{Kind: kind} }

// KeySubject names a key's record.
func KeySubject(id identity.KeyID) Subject { return Subject{identity.ChangeKey, string(id)} }

// OrganizationSubject names an organization's record.
func OrganizationSubject(id identity.OrgID) Subject {
	return Subject{identity.ChangeOrganization, string(id)}
}

// UserSubject names a user's record.
func UserSubject(id identity.UserID) Subject { return Subject{identity.ChangeUser, string(id)} }

// MembershipSubject names a membership's record.
func MembershipSubject(ref identity.MembershipRef) Subject {
	return Subject{identity.ChangeMembership, string(ref.Org) + "\x00" + string(ref.User)}
}

// TokenSubject names a token's record.
func TokenSubject(ref identity.TokenRef) Subject {
	return Subject{identity.ChangeToken, string(ref.Issuer) + "\x00" + string(ref.ID)}
}

// ResourceSubject names a resource's record.
func ResourceSubject(id identity.ResourceID) Subject {
	return Subject{identity.ChangeResource, string(id)}
}

// History is what a replica remembers of the feed: the latest change of every
// record that changed lately. By it, a value that somebody loaded as of some
// revision is believed or not, whatever a shared cache lost, delayed, restored
// from a snapshot or kept through a failover, and whatever the clocks say.
type History struct {
	mu     sync.RWMutex
	size   int
	floor  identity.Revision // what happened up to here is no longer known
	recent map[Subject]identity.Revision
	before map[Subject]identity.Revision
	newest identity.Revision // of before
}

// NewHistory remembers at least the last size changes after the floor.
func NewHistory(size int, floor identity.Revision) *History {
	return &History{size: max(1, size), floor: floor, newest: floor, recent: map[Subject]identity.Revision{}}
}

// Note remembers a change. Changes come in order.
func (h *History) Note(c identity.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.recent) >= h.size {
		h.floor = h.newest
		h.before, h.recent = h.recent, make(map[Subject]identity.Revision, h.size)
		h.newest = c.Revision - 1
	}
	h.recent[SubjectOf(c)] = c.Revision
	h.recent[AnyOf(c.Kind)] = c.Revision
}

// Restart forgets everything up to the floor: nothing older can be judged.
func (h *History) Restart(floor identity.Revision) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.floor, h.newest = floor, floor
	h.before, h.recent = nil, map[Subject]identity.Revision{}
}

// Believes reports whether a value that was loaded as of the revision still says
// what the store says of its subjects, as far as this replica has read the feed.
func (h *History) Believes(asOf identity.Revision, subjects ...Subject) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if asOf < h.floor {
		return false
	}
	for _, subject := range subjects {
		if h.recent[subject] > asOf || h.before[subject] > asOf {
			return false
		}
	}
	return true
}
