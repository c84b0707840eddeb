package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

type credits struct {
	adminv1.UnimplementedCreditServiceServer
	failures
	service *admin.Service
}

// TopUp implements the rpc of CreditService.
func (s *credits) TopUp(ctx context.Context, r *adminv1.TopUpRequest) (*adminv1.TopUpResponse, error) {
	changed, err := s.service.TopUp(ctx, actor, identity.OrgID(r.GetOrganizationId()), identity.Credits(r.GetAmount()), r.GetNote())
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.TopUpResponse{Account: account(changed)}, nil
}

// GetAccount implements the rpc of CreditService.
func (s *credits) GetAccount(ctx context.Context, r *adminv1.GetAccountRequest) (*adminv1.GetAccountResponse, error) {
	found, err := s.service.Account(ctx, identity.OrgID(r.GetOrganizationId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.GetAccountResponse{Account: account(found)}, nil
}

// SetPayAsYouGo implements the rpc of CreditService.
func (s *credits) SetPayAsYouGo(ctx context.Context, r *adminv1.SetPayAsYouGoRequest) (*adminv1.SetPayAsYouGoResponse, error) {
	changed, err := s.service.SetPayAsYouGo(ctx, actor, identity.OrgID(r.GetOrganizationId()), r.GetEnabled())
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.SetPayAsYouGoResponse{Account: account(changed)}, nil
}

// ListLedger implements the rpc of CreditService.
func (s *credits) ListLedger(ctx context.Context, r *adminv1.ListLedgerRequest) (*adminv1.ListLedgerResponse, error) {
	list, next, err := s.service.ListLedger(ctx, identity.OrgID(r.GetOrganizationId()), admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListLedgerResponse{Entries: all(list, ledgerEntry), NextPageToken: next}, nil
}

type audit struct {
	adminv1.UnimplementedAuditServiceServer
	failures
	service *admin.Service
}

// ListAuditEvents implements the rpc of AuditService.
func (s *audit) ListAuditEvents(ctx context.Context, r *adminv1.ListAuditEventsRequest) (*adminv1.ListAuditEventsResponse, error) {
	filter := store.AuditFilter{Org: identity.OrgID(r.GetOrganizationId()), Subject: r.GetSubject(), Action: r.GetAction()}
	list, next, err := s.service.ListAudit(ctx, filter, admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListAuditEventsResponse{Events: all(list, auditEvent), NextPageToken: next}, nil
}
