package admin

import (
	"context"
	"fmt"

	"postern/authz/identity"
	"postern/store"
)

// TopUp adds credits to an account.
func (s *Service) TopUp(ctx context.Context, by store.Actor, org identity.OrgID, amount identity.Credits, note string) (store.Account, error) {
	var c checks
	c.id("organization_id", string(org))
	if amount < 1 || amount > maxTopUp {
		c.add("amount", "is out of range", fmt.Sprintf("use 1 to %d", int64(maxTopUp)))
	}
	c.text("note", note, maxName)
	if err := c.err(); err != nil {
		return store.Account{}, err
	}
	account, err := s.store.TopUp(ctx, by, org, amount, note, s.clock())
	if err != nil {
		return account, failed(err, meaning{
			notFound: noOrganization(org),
			state:    "the account cannot hold that many credits; top up with less",
		})
	}
	return account, nil
}

// SetPayAsYouGo allows or forbids a balance below zero.
func (s *Service) SetPayAsYouGo(ctx context.Context, by store.Actor, org identity.OrgID, on bool) (store.Account, error) {
	var c checks
	if c.id("organization_id", string(org)); c.err() != nil {
		return store.Account{}, c.err()
	}
	account, err := s.store.SetPayAsYouGo(ctx, by, org, on)
	if err != nil {
		return account, failed(err, meaning{notFound: noOrganization(org)})
	}
	return account, nil
}

// Account returns an organization's account.
func (s *Service) Account(ctx context.Context, org identity.OrgID) (store.Account, error) {
	var c checks
	if c.id("organization_id", string(org)); c.err() != nil {
		return store.Account{}, c.err()
	}
	account, err := s.store.Account(ctx, org)
	if err != nil {
		return account, failed(err, meaning{notFound: noOrganization(org)})
	}
	return account, nil
}

// ListLedger returns a page of an account's movements and the token of the next.
func (s *Service) ListLedger(ctx context.Context, org identity.OrgID, p Paging) ([]store.LedgerEntry, string, error) {
	var c checks
	c.id("organization_id", string(org))
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	if _, err := s.store.Account(ctx, org); err != nil {
		return nil, "", failed(err, meaning{notFound: noOrganization(org)})
	}
	entries, next, err := s.store.ListLedger(ctx, org, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return entries, next, nil
}

// ListAudit returns a page of what was changed and the token of the next.
func (s *Service) ListAudit(ctx context.Context, filter store.AuditFilter, p Paging) ([]store.AuditEvent, string, error) {
	var c checks
	page := c.page(p.Size, p.Token)
	if err := c.err(); err != nil {
		return nil, "", err
	}
	events, next, err := s.store.ListAudit(ctx, filter, page)
	if err != nil {
		return nil, "", failedList(err)
	}
	return events, next, nil
}
