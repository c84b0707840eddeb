package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

type resources struct {
	adminv1.UnimplementedResourceServiceServer
	failures
	service *admin.Service
}

// CreateResource implements the rpc of ResourceService.
func (s *resources) CreateResource(ctx context.Context, r *adminv1.CreateResourceRequest) (*adminv1.CreateResourceResponse, error) {
	created, err := s.service.CreateResource(ctx, actor, admin.NewResource{
		ID: identity.ResourceID(r.GetId()), Kind: identity.ResourceKind(r.GetKind()), Slug: r.GetSlug(), Org: identity.OrgID(r.GetOrganizationId()),
	})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.CreateResourceResponse{Resource: resource(created)}, nil
}

// ListResources implements the rpc of ResourceService.
func (s *resources) ListResources(ctx context.Context, r *adminv1.ListResourcesRequest) (*adminv1.ListResourcesResponse, error) {
	filter := store.ResourceFilter{Org: identity.OrgID(r.GetOrganizationId()), Kind: identity.ResourceKind(r.GetKind())}
	list, next, err := s.service.ListResources(ctx, filter, admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListResourcesResponse{Resources: all(list, resource), NextPageToken: next}, nil
}

// DeleteResource implements the rpc of ResourceService.
func (s *resources) DeleteResource(ctx context.Context, r *adminv1.DeleteResourceRequest) (*adminv1.DeleteResourceResponse, error) {
	confirmed, err := s.service.DeleteResource(ctx, actor, identity.ResourceKind(r.GetKind()), identity.ResourceID(r.GetId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.DeleteResourceResponse{Confirmation: confirmation(confirmed)}, nil
}
