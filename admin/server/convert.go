package server

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"postern/admin"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

// timestamp leaves the zero time out.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// expiry reads the two ways to ask for an end of life.
func expiry(at *timestamppb.Timestamp, ttl *durationpb.Duration) admin.Expiry {
	switch {
	case at != nil:
		return admin.ExpireAt(at.AsTime())
	case ttl != nil:
		return admin.ExpireIn(ttl.AsDuration())
	}
	return admin.Expiry{}
}

func confirmation(c admin.Confirmation) *adminv1.Confirmation {
	return &adminv1.Confirmation{
		InForce:       int32(c.InForce),
		Replicas:      int32(c.Replicas),
		Elapsed:       durationpb.New(c.Elapsed),
		Pending:       all(c.Pending, pendingReplica),
		MayAllowUntil: timestamp(c.Until()),
		Summary:       summary(c),
	}
}

func summary(c admin.Confirmation) string {
	if c.Replicas == 0 {
		return "committed, but how many replicas have applied it is unknown"
	}
	text := fmt.Sprintf("in force on %d/%d replicas after %d ms", c.InForce, c.Replicas, c.Elapsed.Milliseconds())
	for _, r := range c.Pending {
		text += "; not yet on " + r.Name + ", which may decide from an older record until " + r.LeaseUntil.UTC().Format(time.RFC3339)
	}
	return text
}

func pendingReplica(r identity.Replica) *adminv1.PendingReplica {
	return &adminv1.PendingReplica{Name: r.Name, Id: string(r.ID), MayAllowUntil: timestamp(r.LeaseUntil)}
}

func organization(o store.Organization) *adminv1.Organization {
	return &adminv1.Organization{
		Id: string(o.ID), Slug: string(o.Slug), Name: o.Name, Plan: o.Plan, Disabled: o.Disabled,
		CreateTime: timestamp(o.CreatedAt), Revision: uint64(o.Revision),
	}
}

func user(u store.User) *adminv1.User {
	return &adminv1.User{
		Id: string(u.ID), Issuer: string(u.Issuer), Subject: u.Subject, Email: u.Email, Name: u.Name, Disabled: u.Disabled,
		TokensNotBefore: timestamp(u.TokensNotBefore), CreateTime: timestamp(u.CreatedAt), Revision: uint64(u.Revision),
	}
}

func membership(m store.Membership) *adminv1.Membership {
	return &adminv1.Membership{
		OrganizationId: string(m.Org), UserId: string(m.User), Permissions: m.Grants.List(),
		CreateTime: timestamp(m.CreatedAt), Revision: uint64(m.Revision),
	}
}

func key(k store.Key, now time.Time) *adminv1.Key {
	return &adminv1.Key{
		Id: string(k.ID), Profile: string(k.Profile), OrganizationId: string(k.Org), UserId: string(k.User),
		Name: k.Name, Description: k.Description, Environment: string(k.Environment), Permissions: k.Grants.List(),
		Hint: k.Hint, State: keyState(k, now),
		CreateTime: timestamp(k.CreatedAt), ExpireTime: timestamp(k.ExpiresAt), RevokeTime: timestamp(k.RevokedAt),
		SuccessorId: string(k.Successor), Revision: uint64(k.Revision),
	}
}

// keyState is in the order in which the engine refuses.
func keyState(k store.Key, now time.Time) adminv1.KeyState {
	switch {
	case !k.RevokedAt.IsZero():
		return adminv1.KeyState_KEY_STATE_REVOKED
	case k.Disabled:
		return adminv1.KeyState_KEY_STATE_DISABLED
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return adminv1.KeyState_KEY_STATE_EXPIRED
	}
	return adminv1.KeyState_KEY_STATE_ACTIVE
}

func token(t store.Token) *adminv1.Token {
	return &adminv1.Token{
		Id: string(t.ID), Profile: string(t.Profile), Kind: tokenKind(t.Kind), Name: t.Name,
		OrganizationId: string(t.Org), UserId: string(t.User), Permissions: t.Grants.List(),
		IssueTime: timestamp(t.IssuedAt), ExpireTime: timestamp(t.ExpiresAt), RevokeTime: timestamp(t.RevokedAt),
		Revision: uint64(t.Revision),
	}
}

func tokenKind(k store.TokenKind) adminv1.TokenKind {
	switch k {
	case store.TokenSession:
		return adminv1.TokenKind_TOKEN_KIND_SESSION
	case store.TokenPrivate:
		return adminv1.TokenKind_TOKEN_KIND_PRIVATE
	}
	return adminv1.TokenKind_TOKEN_KIND_UNSPECIFIED
}

// storeTokenKind is the store's name; an unknown number stays unknown there.
func storeTokenKind(k adminv1.TokenKind) store.TokenKind {
	switch k {
	case adminv1.TokenKind_TOKEN_KIND_UNSPECIFIED:
		return ""
	case adminv1.TokenKind_TOKEN_KIND_SESSION:
		return store.TokenSession
	case adminv1.TokenKind_TOKEN_KIND_PRIVATE:
		return store.TokenPrivate
	}
	return store.TokenKind(k.String())
}

func resource(r store.Resource) *adminv1.Resource {
	return &adminv1.Resource{
		Id: string(r.ID), Kind: string(r.Kind), Slug: r.Slug, OrganizationId: string(r.Org),
		CreateTime: timestamp(r.CreatedAt), Revision: uint64(r.Revision),
	}
}

func account(a store.Account) *adminv1.Account {
	return &adminv1.Account{OrganizationId: string(a.Org), Balance: int64(a.Balance), PayAsYouGo: a.PayAsYouGo}
}

func ledgerEntry(e store.LedgerEntry) *adminv1.LedgerEntry {
	return &adminv1.LedgerEntry{
		Id: e.ID, OrganizationId: string(e.Org), Kind: ledgerKind(e.Kind), Amount: int64(e.Amount), BalanceAfter: int64(e.BalanceAfter),
		KeyId: string(e.Key), RequestId: e.RequestID, Note: e.Note, Time: timestamp(e.At),
	}
}

func ledgerKind(k store.LedgerKind) adminv1.LedgerKind {
	switch k {
	case store.LedgerTopUp:
		return adminv1.LedgerKind_LEDGER_KIND_TOP_UP
	case store.LedgerDebit:
		return adminv1.LedgerKind_LEDGER_KIND_DEBIT
	case store.LedgerRelease:
		return adminv1.LedgerKind_LEDGER_KIND_RELEASE
	}
	return adminv1.LedgerKind_LEDGER_KIND_UNSPECIFIED
}

func auditEvent(e store.AuditEvent) *adminv1.AuditEvent {
	return &adminv1.AuditEvent{
		Revision: uint64(e.Revision), Time: timestamp(e.At), Actor: string(e.Actor), Action: e.Action,
		Subject: e.Subject, OrganizationId: string(e.Org), Detail: e.Detail,
	}
}

func headers(list []profile.Header) []*adminv1.Header {
	return all(list, func(h profile.Header) *adminv1.Header { return &adminv1.Header{Name: h.Name, Value: h.Value} })
}

// all converts a list.
func all[From, To any](list []From, convert func(From) To) []To {
	converted := make([]To, len(list))
	for i, item := range list {
		converted[i] = convert(item)
	}
	return converted
}
