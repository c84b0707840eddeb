package store

import (
	"context"
	"errors"
	"time"

	"postern/authz/identity"
	"postern/authz/meter"
)

// The errors an engine answers with, found with errors.Is. Anything else means
// that the store could not be asked: nothing is known then.
var (
	// ErrNotFound: no such record.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the record collides with another (a slug, an id, a digest).
	ErrConflict = errors.New("already exists")
	// ErrReference: a record that the new one names does not exist.
	ErrReference = errors.New("refers to something that does not exist")
	// ErrLimit: the mutation would exceed a given limit.
	ErrLimit = errors.New("limit reached")
	// ErrInsufficient: the balance does not cover the cost.
	ErrInsufficient = meter.ErrInsufficient
	// ErrInvalid: an argument breaks a rule of this interface, or the record's
	// state does not allow the mutation (rotating a revoked key).
	ErrInvalid = errors.New("invalid")
)

// Store is everything an engine keeps. Rules for all roles:
//
//   - Identifiers, slugs and names are compared byte for byte; case matters.
//   - A mutation commits the record, one audit event and one change in a single
//     transaction, with a Revision larger than every earlier one, and returns the
//     record with it. Reserve and Release are the exception: their ledger entries
//     are their records. So are Replicas, Secrets, Usages and Pruner: what they
//     write is no record.
//   - A mutation that fails writes nothing at all.
//   - What a mutation has returned, every later read sees, after a crash too.
//   - A mutation that changes nothing (revoking what is revoked) returns the
//     record as it is and writes no event and no change.
//   - Text is UTF-8 without NUL characters: a record with anything else is
//     ErrInvalid, and a look-up of anything else finds nothing.
//   - Times are UTC and keep at least milliseconds. Where a mutation or a filter
//     leaves one out (CreatedAt, at, until, Now), it is the store's own clock's.
//   - Lists are ordered by creation, oldest first, then by id. A page outside its
//     limits and a cursor that is not of this list are ErrInvalid.
//   - A record needs an ID, an organization a Slug, a user of a foreign issuer a
//     Subject, a token an ExpiresAt, a resource a Kind: else ErrInvalid.
//   - No error repeats the id of a key or a token: it may be the credential itself,
//     given by mistake.
type Store interface {
	Organizations
	Users
	Keys
	Tokens
	Resources
	Credits
	SigningKeys
	Audit
	Changes
	Replicas
	Secrets
	Usages
	Pruner

	// Ping reports whether the store can be read now.
	Ping(ctx context.Context) error
	// Close releases everything; later calls fail.
	Close() error
}

// Organizations keeps tenants.
type Organizations interface {
	// CreateOrganization adds one. ID and Slug must be unique: ErrConflict.
	CreateOrganization(ctx context.Context, by Actor, org Organization) (Organization, error)
	// Organization finds one by id: ErrNotFound.
	Organization(ctx context.Context, id identity.OrgID) (Organization, error)
	// OrganizationBySlug finds one by its exact slug: ErrNotFound.
	OrganizationBySlug(ctx context.Context, slug identity.OrgSlug) (Organization, error)
	// ListOrganizations returns a page and the cursor of the next, empty at the end.
	ListOrganizations(ctx context.Context, page Page) ([]Organization, string, error)
	// SetOrganizationDisabled switches one off or on: ErrNotFound.
	SetOrganizationDisabled(ctx context.Context, by Actor, id identity.OrgID, disabled bool) (Organization, error)
}

// Users keeps users and their memberships.
type Users interface {
	// CreateUser adds one. ID must be unique, and so must (Issuer, Subject): ErrConflict.
	// For an empty Issuer an empty Subject is set to the ID.
	CreateUser(ctx context.Context, by Actor, user User) (User, error)
	// User finds one by id: ErrNotFound.
	User(ctx context.Context, id identity.UserID) (User, error)
	// UserBySubject finds one by what a token says: ErrNotFound.
	UserBySubject(ctx context.Context, ref identity.SubjectRef) (User, error)
	// ListUsers returns a page of all users, or of an organization's members
	// where org is not empty.
	ListUsers(ctx context.Context, org identity.OrgID, page Page) ([]User, string, error)
	// SetUserDisabled switches one off or on: ErrNotFound.
	SetUserDisabled(ctx context.Context, by Actor, id identity.UserID, disabled bool) (User, error)

	// PutMembership adds a user to an organization or replaces the grants:
	// ErrReference where either does not exist.
	PutMembership(ctx context.Context, by Actor, m Membership) (Membership, error)
	// Membership finds one: ErrNotFound.
	Membership(ctx context.Context, ref identity.MembershipRef) (Membership, error)
	// ListMemberships returns a user's memberships.
	ListMemberships(ctx context.Context, user identity.UserID) ([]Membership, error)
	// DeleteMembership takes a user out of an organization: ErrNotFound. The
	// change it writes reaches every credential of the user there.
	DeleteMembership(ctx context.Context, by Actor, ref identity.MembershipRef) error
}

// KeyFilter narrows a list of keys; empty fields match all.
type KeyFilter struct {
	Profile    identity.ProfileName
	Org        identity.OrgID
	ActiveOnly bool // neither revoked nor expired at Now
	Now        time.Time
}

// KeyLimit bounds the active keys of a profile, counted in the transaction that
// adds one: there is no race. Max 0 means no limit.
type KeyLimit struct {
	Max int
	Now time.Time
}

// Keys keeps API keys.
type Keys interface {
	// CreateKey adds one. ID and a non-zero Digest must be unique: ErrConflict;
	// the organization, and the user if one is named, must exist: ErrReference;
	// ErrLimit where the profile already has limit.Max keys that are neither
	// revoked nor expired. Only RotateKey sets a Successor: ErrInvalid.
	CreateKey(ctx context.Context, by Actor, key Key, limit KeyLimit) (Key, error)
	// Key finds one by id, revoked and expired ones too: ErrNotFound.
	Key(ctx context.Context, id identity.KeyID) (Key, error)
	// KeyByDigest finds one by the digest of its raw key: ErrNotFound.
	KeyByDigest(ctx context.Context, digest identity.Digest) (Key, error)
	// ListKeys returns a page.
	ListKeys(ctx context.Context, filter KeyFilter, page Page) ([]Key, string, error)
	// RevokeKey withdraws one for good: ErrNotFound. The first RevokedAt stays.
	RevokeKey(ctx context.Context, by Actor, id identity.KeyID, at time.Time) (Key, error)
	// SetKeyDisabled switches one off or on: ErrNotFound.
	SetKeyDisabled(ctx context.Context, by Actor, id identity.KeyID, disabled bool) (Key, error)
	// RotateKey adds the successor and lets the original expire at until or at
	// its own expiry, whichever is earlier, in one transaction: ErrNotFound,
	// ErrConflict; ErrInvalid where the original is revoked or already has a successor.
	// It returns the original and the successor, and writes one audit event and a
	// change for each of the two. The limit does not apply.
	RotateKey(ctx context.Context, by Actor, id identity.KeyID, successor Key, until time.Time) (Key, Key, error)
}

// TokenFilter narrows a list of tokens; empty fields match all.
type TokenFilter struct {
	Profile identity.ProfileName
	Org     identity.OrgID
	User    identity.UserID
	Kind    TokenKind
}

// Tokens keeps the tokens Postern minted and the foreign ones it refuses.
type Tokens interface {
	// CreateToken adds one. ID must be unique: ErrConflict; the user and a named
	// organization must exist: ErrReference.
	CreateToken(ctx context.Context, by Actor, token Token) (Token, error)
	// Token finds one by id: ErrNotFound.
	Token(ctx context.Context, id identity.TokenID) (Token, error)
	// TokenState finds what a decision needs: a minted token (empty issuer) or
	// the refusal of a foreign one. ErrNotFound: never minted, or not refused.
	TokenState(ctx context.Context, ref identity.TokenRef) (identity.Token, error)
	// ListTokens returns a page.
	ListTokens(ctx context.Context, filter TokenFilter, page Page) ([]Token, string, error)
	// RevokeToken withdraws a minted token (ErrNotFound), or refuses a foreign
	// one from now on; the first time stays.
	RevokeToken(ctx context.Context, by Actor, ref identity.TokenRef, at time.Time) (identity.Token, error)
	// RevokeUserTokens withdraws every token of a user, foreign ones too: it
	// marks the minted ones that are not revoked, and moves the user's
	// TokensNotBefore to at (never back). ErrNotFound for an unknown user.
	// It returns the user and how many minted tokens were withdrawn, and writes
	// one audit event, and a change for the user and for each of those tokens.
	RevokeUserTokens(ctx context.Context, by Actor, id identity.UserID, at time.Time) (User, int, error)
}

// ResourceFilter narrows a list of resources; empty fields match all.
type ResourceFilter struct {
	Org  identity.OrgID
	Kind identity.ResourceKind
}

// Resources keeps who owns what. A slug is unique within (organization, kind),
// an id within its kind. An empty slug is none: found by id only.
type Resources interface {
	// CreateResource adds one: ErrConflict, ErrReference.
	CreateResource(ctx context.Context, by Actor, r Resource) (Resource, error)
	// FindResource finds what a request names: by slug the organization's own
	// if there is one, else any other organization's (so that the caller can tell
	// foreign from absent); by id whoever owns it. ErrNotFound: it exists nowhere.
	// ErrInvalid: not exactly one of slug and id is given.
	FindResource(ctx context.Context, ref identity.ResourceRef) (identity.Resource, error)
	// ListResources returns a page.
	ListResources(ctx context.Context, filter ResourceFilter, page Page) ([]Resource, string, error)
	// DeleteResource removes one: ErrNotFound.
	DeleteResource(ctx context.Context, by Actor, kind identity.ResourceKind, id identity.ResourceID) error
}

// Credits keeps accounts and their ledgers. Every organization has an account
// from its creation, with balance 0.
type Credits interface {
	// Reserve debits the cost in one statement, exact under any concurrency: the
	// balance never falls below zero without pay-as-you-go (ErrInsufficient, and
	// nothing is written). charged is false where the request id was charged
	// before; the balance is then as it is. ErrNotFound: no such organization.
	// ErrInvalid: the request id is empty, or the cost is not positive.
	Reserve(ctx context.Context, r Reservation) (balance identity.Credits, charged bool, err error)
	// Release gives back what Reserve charged under the reservation's request
	// id, with an entry of its own; the same id is charged again by a later
	// Reserve. Releasing what is not charged (or was released) does nothing.
	// ErrInvalid: the request id is empty.
	Release(ctx context.Context, r Reservation) error
	// TopUp adds a positive amount: ErrNotFound, ErrInvalid.
	TopUp(ctx context.Context, by Actor, org identity.OrgID, amount identity.Credits, note string, at time.Time) (Account, error)
	// SetPayAsYouGo allows or forbids a balance below zero: ErrNotFound.
	SetPayAsYouGo(ctx context.Context, by Actor, org identity.OrgID, on bool) (Account, error)
	// Account finds an organization's account: ErrNotFound.
	Account(ctx context.Context, org identity.OrgID) (Account, error)
	// ListLedger returns a page of an account's movements.
	ListLedger(ctx context.Context, org identity.OrgID, page Page) ([]LedgerEntry, string, error)
}

// SigningKeys keeps the keys of Postern's own issuer.
type SigningKeys interface {
	// CreateSigningKey adds one: ErrConflict on its ID.
	CreateSigningKey(ctx context.Context, by Actor, key identity.SigningKey) (identity.SigningKey, error)
	// ListSigningKeys returns all, oldest first.
	ListSigningKeys(ctx context.Context) ([]identity.SigningKey, error)
}

// AuditFilter narrows a list of events; empty fields match all.
type AuditFilter struct {
	Org     identity.OrgID
	Subject string
	Action  string
}

// Audit reads who changed what.
type Audit interface {
	// ListAudit returns a page, oldest first.
	ListAudit(ctx context.Context, filter AuditFilter, page Page) ([]AuditEvent, string, error)
}

// Changes is the feed that keeps caches honest.
type Changes interface {
	// ChangesAfter returns up to limit changes with a larger revision, in order;
	// none means that the reader has seen all that is committed: no smaller
	// revision appears later. ErrPruned: some of them have left the feed, so that
	// the reader must forget everything and begin at LatestRevision. ErrInvalid:
	// limit is below 1.
	ChangesAfter(ctx context.Context, after identity.Revision, limit int) ([]Change, error)
	// LatestRevision is the largest committed revision, 0 in an empty store.
	LatestRevision(ctx context.Context) (identity.Revision, error)
	// Wake returns a channel that receives after commits; several commits may
	// share one wake-up, and one may be lost: it is a hint, the table is the truth.
	// cancel ends it; the channel is never closed.
	Wake() (wake <-chan struct{}, cancel func())
}
