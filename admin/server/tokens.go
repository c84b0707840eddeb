package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

type tokens struct {
	adminv1.UnimplementedTokenServiceServer
	failures
	service *admin.Service
}

// IssueToken implements the rpc of TokenService.
func (s *tokens) IssueToken(ctx context.Context, r *adminv1.IssueTokenRequest) (*adminv1.IssueTokenResponse, error) {
	issued, err := s.service.IssueToken(ctx, actor, admin.NewToken{
		Profile: identity.ProfileName(r.GetProfile()), Kind: storeTokenKind(r.GetKind()), Name: r.GetName(),
		Org: identity.OrgID(r.GetOrganizationId()), User: identity.UserID(r.GetUserId()),
		Permissions: r.GetPermissions(), Expiry: expiry(r.GetExpireTime(), r.GetTtl()),
	})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.IssueTokenResponse{Token: token(issued.Token), Secret: issued.Signed.Reveal()}, nil
}

// GetToken implements the rpc of TokenService.
func (s *tokens) GetToken(ctx context.Context, r *adminv1.GetTokenRequest) (*adminv1.GetTokenResponse, error) {
	found, err := s.service.Token(ctx, identity.TokenID(r.GetId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.GetTokenResponse{Token: token(found)}, nil
}

// ListTokens implements the rpc of TokenService.
func (s *tokens) ListTokens(ctx context.Context, r *adminv1.ListTokensRequest) (*adminv1.ListTokensResponse, error) {
	filter := store.TokenFilter{
		Profile: identity.ProfileName(r.GetProfile()), Org: identity.OrgID(r.GetOrganizationId()),
		User: identity.UserID(r.GetUserId()), Kind: storeTokenKind(r.GetKind()),
	}
	list, next, err := s.service.ListTokens(ctx, filter, admin.Paging{Size: r.GetPageSize(), Token: r.GetPageToken()})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.ListTokensResponse{Tokens: all(list, token), NextPageToken: next}, nil
}

// RotateToken implements the rpc of TokenService.
func (s *tokens) RotateToken(ctx context.Context, r *adminv1.RotateTokenRequest) (*adminv1.RotateTokenResponse, error) {
	rotated, err := s.service.RotateToken(ctx, actor, identity.TokenID(r.GetId()), expiry(r.GetExpireTime(), r.GetTtl()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.RotateTokenResponse{
		Token: token(rotated.Original), Successor: token(rotated.Successor), Secret: rotated.Signed.Reveal(),
		Confirmation: confirmation(rotated.Confirmation),
	}, nil
}

// RevokeToken implements the rpc of TokenService.
func (s *tokens) RevokeToken(ctx context.Context, r *adminv1.RevokeTokenRequest) (*adminv1.RevokeTokenResponse, error) {
	ref := identity.TokenRef{Issuer: identity.Issuer(r.GetIssuer()), ID: identity.TokenID(r.GetId())}
	revoked, confirmed, err := s.service.RevokeToken(ctx, actor, ref)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.RevokeTokenResponse{
		Id: string(revoked.Ref.ID), Issuer: string(revoked.Ref.Issuer), RevokeTime: timestamp(revoked.RevokedAt),
		Confirmation: confirmation(confirmed),
	}, nil
}

// RevokeUserTokens implements the rpc of TokenService.
func (s *tokens) RevokeUserTokens(ctx context.Context, r *adminv1.RevokeUserTokensRequest) (*adminv1.RevokeUserTokensResponse, error) {
	holder, revoked, confirmed, err := s.service.RevokeUserTokens(ctx, actor, identity.UserID(r.GetUserId()))
	if err != nil {
		return nil, s.status(ctx, err)
	}
	return &adminv1.RevokeUserTokensResponse{
		RevokedCount: int32(revoked), TokensNotBefore: timestamp(holder.TokensNotBefore), Confirmation: confirmation(confirmed),
	}, nil
}
