package ctl

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) organizations() *cobra.Command {
	return a.group("org", "Manage organizations", a.createOrganization(), a.listOrganizations(), a.showOrganization(), a.disableOrganization(), a.enableOrganization())
}

func (a *app) createOrganization() *cobra.Command {
	request := &adminv1.CreateOrganizationRequest{}
	c := a.call("create SLUG", "Create an organization", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request.Slug = args[0]
		response, err := adminv1.NewOrganizationServiceClient(conn).CreateOrganization(ctx, request)
		if err != nil {
			return err
		}
		return a.print(response, func() table { return organizationTable(response.GetOrganization()) })
	})
	c.Flags().StringVar(&request.Id, "id", "", "identifier (default: generated)")
	c.Flags().StringVar(&request.Name, "name", "", "name for people (default: the slug)")
	c.Flags().StringVar(&request.Plan, "plan", "", "plan, for rate limits and access logs")
	return c
}

func (a *app) listOrganizations() *cobra.Command {
	return a.call("list", "List organizations", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		client := adminv1.NewOrganizationServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListOrganizationsResponse, error) {
			return client.ListOrganizations(ctx, &adminv1.ListOrganizationsRequest{PageToken: token})
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return organizationTable(response.GetOrganizations()...) })
	})
}

func (a *app) showOrganization() *cobra.Command {
	var bySlug bool
	c := a.call("show ID", "Show an organization", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request := &adminv1.GetOrganizationRequest{Id: args[0]}
		if bySlug {
			request = &adminv1.GetOrganizationRequest{Slug: args[0]}
		}
		response, err := adminv1.NewOrganizationServiceClient(conn).GetOrganization(ctx, request)
		if err != nil {
			return err
		}
		return a.print(response, func() table { return organizationTable(response.GetOrganization()) })
	})
	c.Flags().BoolVar(&bySlug, "slug", false, "take the argument for a slug")
	return c
}

func (a *app) disableOrganization() *cobra.Command {
	return a.call("disable ID", "Refuse every credential of an organization", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewOrganizationServiceClient(conn).DisableOrganization(ctx, &adminv1.DisableOrganizationRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "organization "+args[0]+" is disabled", response.GetConfirmation())
	})
}

func (a *app) enableOrganization() *cobra.Command {
	return a.call("enable ID", "End a disablement", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewOrganizationServiceClient(conn).EnableOrganization(ctx, &adminv1.EnableOrganizationRequest{Id: args[0]})
		if err != nil {
			return err
		}
		return a.printDone(response, "organization "+args[0]+" is enabled", response.GetConfirmation())
	})
}

func organizationTable(organizations ...*adminv1.Organization) table {
	t := table{header: []string{"ID", "SLUG", "NAME", "PLAN", "DISABLED", "CREATED"}}
	for _, o := range organizations {
		t.rows = append(t.rows, []string{o.GetId(), o.GetSlug(), o.GetName(), dash(o.GetPlan()), yesNo(o.GetDisabled()), moment(o.GetCreateTime())})
	}
	return t
}
