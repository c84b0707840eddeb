package ctl

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) tokens() *cobra.Command {
	return a.group("token", "Manage tokens of Postern's own issuer, and revoke any",
		a.issueToken(), a.listTokens(), a.showToken(), a.rotateToken(), a.revokeToken(), a.revokeUserTokens())
}

// tokenKinds are the values of --kind.
func tokenKind(name string) (adminv1.TokenKind, error) {
	switch name {
	case "":
		return adminv1.TokenKind_TOKEN_KIND_UNSPECIFIED, nil
	case "session":
		return adminv1.TokenKind_TOKEN_KIND_SESSION, nil
	case "private":
		return adminv1.TokenKind_TOKEN_KIND_PRIVATE, nil
	}
	return 0, usage("--kind: %q is unknown; use session or private", name)
}

func (a *app) issueToken() *cobra.Command {
	request, end, kind := &adminv1.IssueTokenRequest{}, &expiration{}, ""
	c := a.call("issue", "Issue a token and print it once", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		if err := required("profile", request.GetProfile(), "user", request.GetUserId()); err != nil {
			return err
		}
		var err error
		if request.Kind, err = tokenKind(kind); err != nil {
			return err
		}
		at, ttl, err := end.parse()
		switch {
		case err != nil:
			return err
		case at != nil:
			request.Expiration = &adminv1.IssueTokenRequest_ExpireTime{ExpireTime: at}
		case ttl != nil:
			request.Expiration = &adminv1.IssueTokenRequest_Ttl{Ttl: ttl}
		}
		response, err := adminv1.NewTokenServiceClient(conn).IssueToken(ctx, request)
		if err != nil {
			return err
		}
		issued := response.GetToken()
		return a.printSecret(response, response.GetSecret(), "token "+issued.GetId()+" of user "+issued.GetUserId()+
			", organization: "+dash(issued.GetOrganizationId())+", expires: "+moment(issued.GetExpireTime()))
	})
	c.Flags().StringVar(&request.Profile, "profile", "", "profile whose API it opens (required)")
	c.Flags().StringVar(&request.UserId, "user", "", "user it is issued for (required)")
	c.Flags().StringVar(&request.OrganizationId, "org", "", "identifier of the organization it names (default: none)")
	c.Flags().StringVar(&kind, "kind", "private", "session or private")
	c.Flags().StringVar(&request.Name, "name", "", "name for people")
	c.Flags().StringSliceVar(&request.Permissions, "permission", nil, "permission; may be repeated or separated by commas (default: the membership's)")
	end.flags(c)
	return c
}

func (a *app) listTokens() *cobra.Command {
	request, kind := &adminv1.ListTokensRequest{}, ""
	c := a.call("list", "List tokens", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		var err error
		if request.Kind, err = tokenKind(kind); err != nil {
			return err
		}
		client := adminv1.NewTokenServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListTokensResponse, error) {
			request.PageToken = token
			return client.ListTokens(ctx, request)
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return tokenTable(response.GetTokens()...) })
	})
	c.Flags().StringVar(&request.Profile, "profile", "", "only this profile's tokens")
	c.Flags().StringVar(&request.OrganizationId, "org", "", "only this organization's tokens")
	c.Flags().StringVar(&request.UserId, "user", "", "only this user's tokens")
	c.Flags().StringVar(&kind, "kind", "", "only session or private")
	return c
}

func (a *app) showToken() *cobra.Command {
	return a.call("show ID", "Show a token's record", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewTokenServiceClient(conn).GetToken(ctx, &adminv1.GetTokenRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return tokenTable(response.GetToken()) })
	})
}

func (a *app) rotateToken() *cobra.Command {
	end := &expiration{}
	c := a.call("rotate ID", "Replace a token, revoke it, and print the successor once", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request := &adminv1.RotateTokenRequest{Id: args[0]}
		at, ttl, err := end.parse()
		switch {
		case err != nil:
			return err
		case at != nil:
			request.Expiration = &adminv1.RotateTokenRequest_ExpireTime{ExpireTime: at}
		case ttl != nil:
			request.Expiration = &adminv1.RotateTokenRequest_Ttl{Ttl: ttl}
		}
		response, err := adminv1.NewTokenServiceClient(conn).RotateToken(ctx, request)
		if err != nil {
			return err
		}
		about := "token " + response.GetSuccessor().GetId() + " replaces " + args[0] + ", which is revoked: " + response.GetConfirmation().GetSummary()
		if err := a.printSecret(response, response.GetSecret(), about); err != nil {
			return err
		}
		return confirmed(response.GetConfirmation())
	})
	end.flags(c)
	return c
}

func (a *app) revokeToken() *cobra.Command {
	var issuer string
	c := a.call("revoke ID", "Withdraw a token for good", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewTokenServiceClient(conn).RevokeToken(ctx, &adminv1.RevokeTokenRequest{Id: args[0], Issuer: issuer})
		if err != nil {
			return err
		}
		return a.printDone(response, "token "+args[0]+" is revoked", response.GetConfirmation())
	})
	c.Flags().StringVar(&issuer, "issuer", "", "exact iss of another issuer's token (default: Postern's own)")
	return c
}

func (a *app) revokeUserTokens() *cobra.Command {
	return a.call("revoke-user USER", "Withdraw every token of a user", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewTokenServiceClient(conn).RevokeUserTokens(ctx, &adminv1.RevokeUserTokensRequest{UserId: args[0]})
		if err != nil {
			return err
		}
		done := strconv.Itoa(int(response.GetRevokedCount())) + " tokens of user " + args[0] + " are revoked, and every other one issued before " +
			moment(response.GetTokensNotBefore())
		return a.printDone(response, done, response.GetConfirmation())
	})
}

func tokenTable(tokens ...*adminv1.Token) table {
	t := table{header: []string{"ID", "PROFILE", "KIND", "NAME", "ORGANIZATION", "USER", "PERMISSIONS", "EXPIRES", "REVOKED"}}
	for _, k := range tokens {
		t.rows = append(t.rows, []string{
			k.GetId(), k.GetProfile(), enum(k.GetKind(), "TOKEN_KIND_"), dash(k.GetName()), dash(k.GetOrganizationId()), k.GetUserId(),
			list(k.GetPermissions()), moment(k.GetExpireTime()), moment(k.GetRevokeTime()),
		})
	}
	return t
}
