package ctl

import (
	"context"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) resources() *cobra.Command {
	return a.group("resource", "Manage who owns what", a.createResource(), a.listResources(), a.deleteResource())
}

func (a *app) createResource() *cobra.Command {
	request := &adminv1.CreateResourceRequest{}
	c := a.call("create KIND SLUG", "Create a resource", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		if err := required("org", request.GetOrganizationId()); err != nil {
			return err
		}
		request.Kind, request.Slug = args[0], args[1]
		response, err := adminv1.NewResourceServiceClient(conn).CreateResource(ctx, request)
		if err != nil {
			return err
		}
		return a.print(response, func() table { return resourceTable(response.GetResource()) })
	})
	c.Flags().StringVar(&request.Id, "id", "", "identifier (default: generated)")
	c.Flags().StringVar(&request.OrganizationId, "org", "", "identifier of the organization (required)")
	return c
}

func (a *app) listResources() *cobra.Command {
	request := &adminv1.ListResourcesRequest{}
	c := a.call("list", "List resources", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		client := adminv1.NewResourceServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListResourcesResponse, error) {
			request.PageToken = token
			return client.ListResources(ctx, request)
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return resourceTable(response.GetResources()...) })
	})
	c.Flags().StringVar(&request.OrganizationId, "org", "", "only this organization's")
	c.Flags().StringVar(&request.Kind, "kind", "", "only this kind")
	return c
}

func (a *app) deleteResource() *cobra.Command {
	return a.call("delete KIND ID", "Delete a resource", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewResourceServiceClient(conn).DeleteResource(ctx, &adminv1.DeleteResourceRequest{Kind: args[0], Id: args[1]})
		if err != nil {
			return err
		}
		return a.printDone(response, args[0]+" "+args[1]+" is deleted", response.GetConfirmation())
	})
}

func resourceTable(resources ...*adminv1.Resource) table {
	t := table{header: []string{"ID", "KIND", "SLUG", "ORGANIZATION", "CREATED"}}
	for _, r := range resources {
		t.rows = append(t.rows, []string{r.GetId(), r.GetKind(), r.GetSlug(), r.GetOrganizationId(), moment(r.GetCreateTime())})
	}
	return t
}
