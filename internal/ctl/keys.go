package ctl

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) keys() *cobra.Command {
	return a.group("key", "Manage API keys", a.createKey(), a.listKeys(), a.showKey(), a.rotateKey(), a.revokeKey(), a.disableKey(), a.enableKey())
}

func (a *app) createKey() *cobra.Command {
	request, end := &adminv1.CreateKeyRequest{}, &expiration{}
	c := a.call("create", "Create an API key and print it once", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		if err := required("profile", request.GetProfile(), "org", request.GetOrganizationId()); err != nil {
			return err
		}
		at, ttl, err := end.parse()
		switch {
		case err != nil:
			return err
		case at != nil:
			request.Expiration = &adminv1.CreateKeyRequest_ExpireTime{ExpireTime: at}
		case ttl != nil:
			request.Expiration = &adminv1.CreateKeyRequest_Ttl{Ttl: ttl}
		}
		response, err := adminv1.NewKeyServiceClient(conn).CreateKey(ctx, request)
		if err != nil {
			return err
		}
		return a.printSecret(response, response.GetSecret(), "key "+response.GetKey().GetId()+" of organization "+response.GetKey().GetOrganizationId()+", expires: "+moment(response.GetKey().GetExpireTime()))
	})
	c.Flags().StringVar(&request.Profile, "profile", "", "profile whose API it opens (required)")
	c.Flags().StringVar(&request.OrganizationId, "org", "", "identifier of the organization (required)")
	c.Flags().StringVar(&request.UserId, "user", "", "user it is made for (default: none, a service key)")
	c.Flags().StringVar(&request.Name, "name", "", "name for people")
	c.Flags().StringVar(&request.Description, "description", "", "what it is for")
	c.Flags().StringVar(&request.Environment, "environment", "", "environment (default: the profile's)")
	c.Flags().StringSliceVar(&request.Permissions, "permission", nil, "permission; may be repeated or separated by commas")
	end.flags(c)
	return c
}

func (a *app) listKeys() *cobra.Command {
	request := &adminv1.ListKeysRequest{}
	c := a.call("list", "List API keys", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		client := adminv1.NewKeyServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListKeysResponse, error) {
			request.PageToken = token
			return client.ListKeys(ctx, request)
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return keyTable(response.GetKeys()...) })
	})
	c.Flags().StringVar(&request.Profile, "profile", "", "only this profile's keys")
	c.Flags().StringVar(&request.OrganizationId, "org", "", "only this organization's keys")
	c.Flags().BoolVar(&request.ActiveOnly, "active", false, "leave out the revoked and the expired ones")
	return c
}

func (a *app) showKey() *cobra.Command {
	return a.call("show ID", "Show an API key's record and how it was used", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewKeyServiceClient(conn).GetKey(ctx, &adminv1.GetKeyRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.print(response, func() table {
			t := keyTable(response.GetKey())
			t.header = append(t.header, "USES", "LAST USED")
			t.rows[0] = append(t.rows[0], strconv.FormatUint(response.GetKey().GetUseCount(), 10), moment(response.GetKey().GetLastUsedTime()))
			return t
		})
	})
}

func (a *app) rotateKey() *cobra.Command {
	var overlap string
	end := &expiration{}
	c := a.call("rotate ID", "Replace an API key and print the successor once", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		wait, err := parseDuration("overlap", overlap)
		if err != nil {
			return err
		}
		request := &adminv1.RotateKeyRequest{Id: args[0], Overlap: durationpb.New(wait)}
		at, ttl, err := end.parse()
		switch {
		case err != nil:
			return err
		case at != nil:
			request.Expiration = &adminv1.RotateKeyRequest_ExpireTime{ExpireTime: at}
		case ttl != nil:
			request.Expiration = &adminv1.RotateKeyRequest_Ttl{Ttl: ttl}
		}
		response, err := adminv1.NewKeyServiceClient(conn).RotateKey(ctx, request)
		if err != nil {
			return err
		}
		about := "key " + response.GetSuccessor().GetId() + " replaces " + args[0] + ", which ends at " + moment(response.GetKey().GetExpireTime()) +
			": " + response.GetConfirmation().GetSummary()
		if err := a.printSecret(response, response.GetSecret(), about); err != nil {
			return err
		}
		return confirmed(response.GetConfirmation())
	})
	c.Flags().StringVar(&overlap, "overlap", "0s", "how long the original goes on, such as 24h; 0s ends it at once")
	end.flags(c)
	return c
}

func (a *app) revokeKey() *cobra.Command {
	return a.call("revoke ID", "Withdraw an API key for good", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewKeyServiceClient(conn).RevokeKey(ctx, &adminv1.RevokeKeyRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "key "+args[0]+" is revoked", response.GetConfirmation())
	})
}

func (a *app) disableKey() *cobra.Command {
	return a.call("disable ID", "Refuse an API key until it is enabled again", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewKeyServiceClient(conn).DisableKey(ctx, &adminv1.DisableKeyRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "key "+args[0]+" is disabled", response.GetConfirmation())
	})
}

func (a *app) enableKey() *cobra.Command {
	return a.call("enable ID", "End a disablement", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewKeyServiceClient(conn).EnableKey(ctx, &adminv1.EnableKeyRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "key "+args[0]+" is enabled", response.GetConfirmation())
	})
}

func keyTable(keys ...*adminv1.Key) table {
	t := table{header: []string{"ID", "PROFILE", "ORGANIZATION", "NAME", "HINT", "PERMISSIONS", "STATE", "EXPIRES", "SUCCESSOR"}}
	for _, k := range keys {
		name := k.GetName()
		if name == "" {
			name = k.GetDescription()
		}
		t.rows = append(t.rows, []string{
			k.GetId(), k.GetProfile(), k.GetOrganizationId(), dash(name), k.GetHint(), list(k.GetPermissions()),
			enum(k.GetState(), "KEY_STATE_"), moment(k.GetExpireTime()), dash(k.GetSuccessorId()),
		})
	}
	return t
}
