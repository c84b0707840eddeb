package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"

	adminv1 "postern/proto/postern/admin/v1"
)

type users struct {
	adminv1.UnimplementedUserServiceServer
	failures
	service *admin.Service
}

// CreateUser implements the rpc of UserService.
func (s *users) CreateUser(ctx context.Context, r *adminv1.CreateUserRequest) (*adminv1.CreateUserResponse, error) {
	created, err := s.service.CreateUser(ctx, actor, admin.NewUser{
		ID: identity.UserID(r.GetId()), Issuer: identity.Issuer(r.GetIssuer()), Subject: r.GetSubject(),
		Email: r.GetEmail(), Name: r.GetName(),
	})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.CreateUserResponse{User: user(created)}, nil
}

// GetUser implements the rpc of UserService.
func (s *users) GetUser(ctx context.Context, r *adminv1.GetUserRequest) (*adminv1.GetUserResponse, error) {
	found, err := s.service.User(ctx, identity.UserID(r.GetId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.GetUserResponse{User: user(found)}, nil
}

// ListUsers implements the rpc of UserService.
func (s *users) ListUsers(ctx context.Context, r *adminv1.ListUsersRequest) (*adminv1.ListUsersResponse, error) {
	list, next, err := s.service.ListUsers(ctx, identity.OrgID(r.GetOrganizationId()), admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListUsersResponse{Users: all(list, user), NextPageToken: next}, nil
}

// DisableUser implements the rpc of UserService.
func (s *users) DisableUser(ctx context.Context, r *adminv1.DisableUserRequest) (*adminv1.DisableUserResponse, error) {
	changed, confirmed, err := s.service.SetUserDisabled(ctx, actor, identity.UserID(r.GetId()), true)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.DisableUserResponse{User: user(changed), Confirmation: confirmation(confirmed)}, nil
}

// EnableUser implements the rpc of UserService.
func (s *users) EnableUser(ctx context.Context, r *adminv1.EnableUserRequest) (*adminv1.EnableUserResponse, error) {
	changed, confirmed, err := s.service.SetUserDisabled(ctx, actor, identity.UserID(r.GetId()), false)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.EnableUserResponse{User: user(changed), Confirmation: confirmation(confirmed)}, nil
}

// PutMembership implements the rpc of UserService.
func (s *users) PutMembership(ctx context.Context, r *adminv1.PutMembershipRequest) (*adminv1.PutMembershipResponse, error) {
	ref := identity.MembershipRef{Org: identity.OrgID(r.GetOrganizationId()), User: identity.UserID(r.GetUserId())}
	put, confirmed, err := s.service.PutMembership(ctx, actor, ref, r.GetPermissions())
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.PutMembershipResponse{Membership: membership(put), Confirmation: confirmation(confirmed)}, nil
}

// DeleteMembership implements the rpc of UserService.
func (s *users) DeleteMembership(ctx context.Context, r *adminv1.DeleteMembershipRequest) (*adminv1.DeleteMembershipResponse, error) {
	ref := identity.MembershipRef{Org: identity.OrgID(r.GetOrganizationId()), User: identity.UserID(r.GetUserId())}
	confirmed, err := s.service.DeleteMembership(ctx, actor, ref)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.DeleteMembershipResponse{Confirmation: confirmation(confirmed)}, nil
}

// ListMemberships implements the rpc of UserService.
func (s *users) ListMemberships(ctx context.Context, r *adminv1.ListMembershipsRequest) (*adminv1.ListMembershipsResponse, error) {
	list, err := s.service.ListMemberships(ctx, identity.UserID(r.GetUserId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListMembershipsResponse{Memberships: all(list, membership)}, nil
}
