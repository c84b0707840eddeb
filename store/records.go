// Package store says what Postern keeps and promises to whoever reads it: the
// record types, one small interface a role, the sentinel errors and the change
// feed. Engines live below it (store/sqlite) and prove themselves with
// store/storetest. It knows no SQL, no cache and no transport.
package store

import (
	"time"

	"postern/authz/identity"
	"postern/authz/meter"
)

// Actor names who makes a mutation; the audit event keeps it ("admin_key",
// "user:u_1", "system").
type Actor string

// Organization is a tenant.
type Organization struct {
	identity.Organization
	Name      string
	CreatedAt time.Time
}

// User is a person or a service account.
type User struct {
	identity.User
	Email     string
	Name      string
	CreatedAt time.Time
}

// Membership is a user's place in an organization.
type Membership struct {
	identity.Membership
	CreatedAt time.Time
}

// Key is an API key's record. The raw key is never in it: Hash is a string in
// the form that authz/credential verifies (a SHA-256, bcrypt or argon2id hash).
type Key struct {
	identity.Key
	Name        string
	Description string
	Hint        string // a few public characters, so that its owner recognizes it
	Hash        identity.Secret
	CreatedAt   time.Time
	Successor   identity.KeyID // the key that replaced it by rotation; empty: none
}

// TokenKind tells a token's purpose.
type TokenKind string

// The kinds of token that Postern mints.
const (
	TokenSession TokenKind = "session" // short-living, from signing in
	TokenPrivate TokenKind = "private" // long-living, named, made for a backend
)

// Token is the record of a token that Postern minted; the signed text is never kept.
type Token struct {
	ID        identity.TokenID
	Profile   identity.ProfileName
	Kind      TokenKind
	Name      string
	Org       identity.OrgID // empty: the token names no organization
	User      identity.UserID
	Grants    identity.Grants
	IssuedAt  time.Time
	ExpiresAt time.Time // never zero
	RevokedAt time.Time // zero: not revoked
	Revision  identity.Revision
}

// Resource is something an organization owns.
type Resource struct {
	identity.Resource
	CreatedAt time.Time
}

// Account is an organization's credit account.
type Account struct {
	Org        identity.OrgID
	Balance    identity.Credits // below zero only with PayAsYouGo
	PayAsYouGo bool
}

// LedgerKind says what moved an account's balance.
type LedgerKind string

// The movements of an account.
const (
	LedgerTopUp   LedgerKind = "top_up"
	LedgerDebit   LedgerKind = "debit"
	LedgerRelease LedgerKind = "release" // gives a debit back
)

// LedgerEntry is one movement of an account. The entries of an account sum to
// its balance.
type LedgerEntry struct {
	ID           int64 // grows with time within a store
	Org          identity.OrgID
	Kind         LedgerKind
	Amount       identity.Credits // signed: a debit is negative
	BalanceAfter identity.Credits
	Key          identity.KeyID // of a debit; empty for a token or a top-up
	RequestID    string         // of a debit and of its release
	Note         string
	At           time.Time
}

// Reservation asks to debit an account for one request.
type Reservation = meter.Reservation

// AuditEvent says who changed what; it never holds a secret.
type AuditEvent struct {
	Revision identity.Revision // of the mutation it records
	At       time.Time
	Actor    Actor
	Action   string // such as "key.revoke"
	Subject  string // the id of what was changed
	Org      identity.OrgID
	Detail   map[string]string
}

// Change is one entry of the feed.
type Change = identity.Change

// Page asks for a part of a list: up to Limit records (1 to 1000) after the
// record whose cursor After is; empty starts at the beginning.
type Page struct {
	After string
	Limit int
}
