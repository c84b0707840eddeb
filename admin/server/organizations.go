package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

type organizations struct {
	adminv1.UnimplementedOrganizationServiceServer
	failures
	service *admin.Service
}

// CreateOrganization implements the rpc of OrganizationService.
func (s *organizations) CreateOrganization(ctx context.Context, r *adminv1.CreateOrganizationRequest) (*adminv1.CreateOrganizationResponse, error) {
	created, err := s.service.CreateOrganization(ctx, actor, admin.NewOrganization{
		ID: identity.OrgID(r.GetId()), Slug: identity.OrgSlug(r.GetSlug()), Name: r.GetName(), Plan: r.GetPlan(),
	})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.CreateOrganizationResponse{Organization: organization(created)}, nil
}

// GetOrganization implements the rpc of OrganizationService.
func (s *organizations) GetOrganization(ctx context.Context, r *adminv1.GetOrganizationRequest) (*adminv1.GetOrganizationResponse, error) {
	if r.GetId() != "" && r.GetSlug() != "" {
		return nil, s.status(ctx, &admin.Error{Code: admin.Invalid, Violations: []admin.Violation{
			{Field: "slug", Problem: "is given together with the id", Remedy: "give one of the two"},
		}})
	}
	var found store.Organization
	var err error
	if r.GetSlug() != "" {
		found, err = s.service.OrganizationBySlug(ctx, identity.OrgSlug(r.GetSlug()))
	} else {
		found, err = s.service.Organization(ctx, identity.OrgID(r.GetId()))
	}
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.GetOrganizationResponse{Organization: organization(found)}, nil
}

// ListOrganizations implements the rpc of OrganizationService.
func (s *organizations) ListOrganizations(ctx context.Context, r *adminv1.ListOrganizationsRequest) (*adminv1.ListOrganizationsResponse, error) {
	list, next, err := s.service.ListOrganizations(ctx, admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListOrganizationsResponse{Organizations: all(list, organization), NextPageToken: next}, nil
}

// DisableOrganization implements the rpc of OrganizationService.
func (s *organizations) DisableOrganization(ctx context.Context, r *adminv1.DisableOrganizationRequest) (*adminv1.DisableOrganizationResponse, error) {
	changed, confirmed, err := s.service.SetOrganizationDisabled(ctx, actor, identity.OrgID(r.GetId()), true)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.DisableOrganizationResponse{Organization: organization(changed), Confirmation: confirmation(confirmed)}, nil
}

// EnableOrganization implements the rpc of OrganizationService.
func (s *organizations) EnableOrganization(ctx context.Context, r *adminv1.EnableOrganizationRequest) (*adminv1.EnableOrganizationResponse, error) {
	changed, confirmed, err := s.service.SetOrganizationDisabled(ctx, actor, identity.OrgID(r.GetId()), false)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.EnableOrganizationResponse{Organization: organization(changed), Confirmation: confirmation(confirmed)}, nil
}
