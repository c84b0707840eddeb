package identity

import (
	"errors"
	"time"
)

// ChangeKind says which family of records a change touches.
type ChangeKind string

// The families of records.
const (
	ChangeOrganization ChangeKind = "organization"
	ChangeUser         ChangeKind = "user"
	ChangeMembership   ChangeKind = "membership"
	ChangeKey          ChangeKind = "key"
	ChangeToken        ChangeKind = "token"
	ChangeResource     ChangeKind = "resource"
	ChangeSigningKey   ChangeKind = "signing_key"
	ChangeAccount      ChangeKind = "account"
)

// Change is one entry of the feed: the record it names may differ from what a
// reader saw before. It carries what a cache needs to find its entries.
type Change struct {
	Revision Revision
	Kind     ChangeKind
	Org      OrgID
	User     UserID
	Key      KeyID
	Digest   Digest // of a key that is kept by its SHA-256; else zero
	Token    TokenRef
	Resource ResourceID
	At       time.Time
}

// ErrPruned: the feed no longer holds what follows the given revision; whoever
// asked must forget everything and begin at the latest one.
var ErrPruned = errors.New("the change feed is pruned beyond this revision")
