package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

type keys struct {
	adminv1.UnimplementedKeyServiceServer
	failures
	service *admin.Service
}

func (s *keys) key(k store.Key) *adminv1.Key { return key(k, s.service.Now()) }

// CreateKey implements the rpc of KeyService.
func (s *keys) CreateKey(ctx context.Context, r *adminv1.CreateKeyRequest) (*adminv1.CreateKeyResponse, error) {
	created, err := s.service.CreateKey(ctx, actor, admin.NewKey{
		Profile: identity.ProfileName(r.GetProfile()), Org: identity.OrgID(r.GetOrganizationId()), User: identity.UserID(r.GetUserId()),
		Name: r.GetName(), Description: r.GetDescription(), Environment: identity.Environment(r.GetEnvironment()),
		Permissions: r.GetPermissions(), Expiry: expiry(r.GetExpireTime(), r.GetTtl()),
	})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.CreateKeyResponse{Key: s.key(created.Key), Secret: created.Raw.Reveal()}, nil
}

// GetKey implements the rpc of KeyService.
func (s *keys) GetKey(ctx context.Context, r *adminv1.GetKeyRequest) (*adminv1.GetKeyResponse, error) {
	found, err := s.service.Key(ctx, identity.KeyID(r.GetId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	usage, err := s.service.KeyUsage(ctx, found.ID)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	shown := s.key(found)
	shown.LastUsedTime, shown.UseCount = timestamp(usage.LastAt), &usage.Count
	return &adminv1.GetKeyResponse{Key: shown}, nil
}

// ListKeys implements the rpc of KeyService.
func (s *keys) ListKeys(ctx context.Context, r *adminv1.ListKeysRequest) (*adminv1.ListKeysResponse, error) {
	query := admin.KeyQuery{
		Profile: identity.ProfileName(r.GetProfile()), Org: identity.OrgID(r.GetOrganizationId()), ActiveOnly: r.GetActiveOnly(),
	}
	list, next, err := s.service.ListKeys(ctx, query, admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListKeysResponse{Keys: all(list, s.key), NextPageToken: next}, nil
}

// RotateKey implements the rpc of KeyService.
func (s *keys) RotateKey(ctx context.Context, r *adminv1.RotateKeyRequest) (*adminv1.RotateKeyResponse, error) {
	rotated, err := s.service.RotateKey(ctx, actor, identity.KeyID(r.GetId()), r.GetOverlap().AsDuration(), expiry(r.GetExpireTime(), r.GetTtl()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.RotateKeyResponse{
		Key: s.key(rotated.Original), Successor: s.key(rotated.Successor), Secret: rotated.Raw.Reveal(),
		Confirmation: confirmation(rotated.Confirmation),
	}, nil
}

// RevokeKey implements the rpc of KeyService.
func (s *keys) RevokeKey(ctx context.Context, r *adminv1.RevokeKeyRequest) (*adminv1.RevokeKeyResponse, error) {
	revoked, confirmed, err := s.service.RevokeKey(ctx, actor, identity.KeyID(r.GetId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.RevokeKeyResponse{Key: s.key(revoked), Confirmation: confirmation(confirmed)}, nil
}

// DisableKey implements the rpc of KeyService.
func (s *keys) DisableKey(ctx context.Context, r *adminv1.DisableKeyRequest) (*adminv1.DisableKeyResponse, error) {
	changed, confirmed, err := s.service.SetKeyDisabled(ctx, actor, identity.KeyID(r.GetId()), true)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.DisableKeyResponse{Key: s.key(changed), Confirmation: confirmation(confirmed)}, nil
}

// EnableKey implements the rpc of KeyService.
func (s *keys) EnableKey(ctx context.Context, r *adminv1.EnableKeyRequest) (*adminv1.EnableKeyResponse, error) {
	changed, confirmed, err := s.service.SetKeyDisabled(ctx, actor, identity.KeyID(r.GetId()), false)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.EnableKeyResponse{Key: s.key(changed), Confirmation: confirmation(confirmed)}, nil
}
