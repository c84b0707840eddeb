package ctl

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) users() *cobra.Command {
	return a.group("user", "Manage users and their places in organizations",
		a.createUser(), a.listUsers(), a.showUser(), a.disableUser(), a.enableUser(), a.addMember(), a.removeMember(), a.listMemberships())
}

func (a *app) createUser() *cobra.Command {
	request := &adminv1.CreateUserRequest{}
	c := a.call("create", "Create a user", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		response, err := adminv1.NewUserServiceClient(conn).CreateUser(ctx, request)
		if err != nil {
			return err
		}
		return a.print(response, func() table { return userTable(response.GetUser()) })
	})
	c.Flags().StringVar(&request.Id, "id", "", "identifier (default: generated)")
	c.Flags().StringVar(&request.Issuer, "issuer", "", "exact iss of the user's tokens (default: Postern's own)")
	c.Flags().StringVar(&request.Subject, "subject", "", "exact sub of the user's tokens (default: the identifier)")
	c.Flags().StringVar(&request.Email, "email", "", "address for people")
	c.Flags().StringVar(&request.Name, "name", "", "name for people")
	return c
}

func (a *app) listUsers() *cobra.Command {
	var org string
	c := a.call("list", "List users", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		client := adminv1.NewUserServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListUsersResponse, error) {
			return client.ListUsers(ctx, &adminv1.ListUsersRequest{OrganizationId: org, PageToken: token})
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return userTable(response.GetUsers()...) })
	})
	c.Flags().StringVar(&org, "org", "", "only the members of this organization")
	return c
}

func (a *app) showUser() *cobra.Command {
	return a.call("show ID", "Show a user", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewUserServiceClient(conn).GetUser(ctx, &adminv1.GetUserRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return userTable(response.GetUser()) })
	})
}

func (a *app) disableUser() *cobra.Command {
	return a.call("disable ID", "Refuse every credential of a user", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewUserServiceClient(conn).DisableUser(ctx, &adminv1.DisableUserRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "user "+args[0]+" is disabled", response.GetConfirmation())
	})
}

func (a *app) enableUser() *cobra.Command {
	return a.call("enable ID", "End a disablement", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewUserServiceClient(conn).EnableUser(ctx, &adminv1.EnableUserRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "user "+args[0]+" is enabled", response.GetConfirmation())
	})
}

func (a *app) addMember() *cobra.Command {
	request := &adminv1.PutMembershipRequest{}
	c := a.call("add USER", "Add a user to an organization, or replace the permissions there", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		if err := required("org", request.GetOrganizationId()); err != nil {
			return err
		}
		request.UserId = args[0]
		response, err := adminv1.NewUserServiceClient(conn).PutMembership(ctx, request)
		if err != nil {
			return err
		}
		done := "user " + args[0] + " is in organization " + request.GetOrganizationId() + " with the permissions " + list(response.GetMembership().GetPermissions())
		return a.printDone(response, done, response.GetConfirmation())
	})
	c.Flags().StringVar(&request.OrganizationId, "org", "", "identifier of the organization (required)")
	c.Flags().StringSliceVar(&request.Permissions, "permission", nil, "permission; may be repeated or separated by commas")
	return c
}

func (a *app) removeMember() *cobra.Command {
	var org string
	c := a.call("remove USER", "Take a user out of an organization", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		if err := required("org", org); err != nil {
			return err
		}
		response, err := adminv1.NewUserServiceClient(conn).DeleteMembership(ctx, &adminv1.DeleteMembershipRequest{OrganizationId: org, UserId: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "user "+args[0]+" is no longer in organization "+org, response.GetConfirmation())
	})
	c.Flags().StringVar(&org, "org", "", "identifier of the organization (required)")
	return c
}

func (a *app) listMemberships() *cobra.Command {
	return a.call("memberships ID", "List the organizations of a user", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewUserServiceClient(conn).ListMemberships(ctx, &adminv1.ListMembershipsRequest{UserId: args[0]})
		if err != nil {
			return err
		}
		return a.print(response, func() table {
			t := table{header: []string{"ORGANIZATION", "USER", "PERMISSIONS", "ADDED"}}
			for _, m := range response.GetMemberships() {
				t.rows = append(t.rows, []string{m.GetOrganizationId(), m.GetUserId(), list(m.GetPermissions()), moment(m.GetCreateTime())})
			}
			return t
		})
	})
}

func userTable(users ...*adminv1.User) table {
	t := table{header: []string{"ID", "SUBJECT", "ISSUER", "EMAIL", "NAME", "DISABLED", "CREATED"}}
	for _, u := range users {
		t.rows = append(t.rows, []string{
			u.GetId(), u.GetSubject(), dash(u.GetIssuer()), dash(u.GetEmail()), dash(u.GetName()), yesNo(u.GetDisabled()), moment(u.GetCreateTime()),
		})
	}
	return t
}
