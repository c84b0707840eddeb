package ctl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) credits() *cobra.Command {
	return a.group("credit", "Manage the credits of organizations", a.topUp(), a.balance(), a.ledger(), a.payAsYouGo())
}

func (a *app) topUp() *cobra.Command {
	var note string
	c := a.call("top-up ORG AMOUNT", "Add credits to an account", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		amount, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return usage("AMOUNT: %q is not a whole number; use such as 100", args[1])
		}
		request := &adminv1.TopUpRequest{OrganizationId: args[0], Amount: amount, Note: note}
		response, err := adminv1.NewCreditServiceClient(conn).TopUp(ctx, request)
		if err != nil {
			return err
		}
		return a.print(response, func() table { return accountTable(response.GetAccount()) })
	})
	c.Flags().StringVar(&note, "note", "", "note for the ledger")
	return c
}

func (a *app) balance() *cobra.Command {
	return a.call("balance ORG", "Show an account", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		response, err := adminv1.NewCreditServiceClient(conn).GetAccount(ctx, &adminv1.GetAccountRequest{OrganizationId: args[0]})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return accountTable(response.GetAccount()) })
	})
}

func (a *app) payAsYouGo() *cobra.Command {
	return a.call("pay-as-you-go ORG ON|OFF", "Allow or forbid a balance below zero", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		state := strings.ToLower(args[1])
		if state != "on" && state != "off" {
			return usage("%q is neither on nor off; use one of them", args[1])
		}
		request := &adminv1.SetPayAsYouGoRequest{OrganizationId: args[0], Enabled: state == "on"}
		response, err := adminv1.NewCreditServiceClient(conn).SetPayAsYouGo(ctx, request)
		if err != nil {
			return err
		}
		return a.print(response, func() table { return accountTable(response.GetAccount()) })
	})
}

func (a *app) ledger() *cobra.Command {
	return a.call("ledger ORG", "List the movements of an account", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		client := adminv1.NewCreditServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListLedgerResponse, error) {
			return client.ListLedger(ctx, &adminv1.ListLedgerRequest{OrganizationId: args[0], PageToken: token})
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table {
			t := table{header: []string{"TIME", "KIND", "AMOUNT", "BALANCE", "KEY", "REQUEST", "NOTE"}}
			for _, e := range response.GetEntries() {
				t.rows = append(t.rows, []string{
					moment(e.GetTime()), enum(e.GetKind(), "LEDGER_KIND_"), fmt.Sprintf("%+d", e.GetAmount()), strconv.FormatInt(e.GetBalanceAfter(), 10),
					dash(e.GetKeyId()), dash(e.GetRequestId()), dash(e.GetNote()),
				})
			}
			return t
		})
	})
}

func accountTable(account *adminv1.Account) table {
	return table{
		header: []string{"ORGANIZATION", "BALANCE", "PAY-AS-YOU-GO"},
		rows:   [][]string{{account.GetOrganizationId(), strconv.FormatInt(account.GetBalance(), 10), yesNo(account.GetPayAsYouGo())}},
	}
}

func (a *app) audit() *cobra.Command {
	request := &adminv1.ListAuditEventsRequest{}
	list := a.call("list", "List what was changed", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		client := adminv1.NewAuditServiceClient(conn)
		response, err := everything(func(token string) (*adminv1.ListAuditEventsResponse, error) {
			request.PageToken = token
			return client.ListAuditEvents(ctx, request)
		})
		if err != nil {
			return err
		}
		return a.print(response, func() table {
			t := table{header: []string{"REVISION", "TIME", "ACTOR", "ACTION", "SUBJECT", "ORGANIZATION", "DETAIL"}}
			for _, e := range response.GetEvents() {
				t.rows = append(t.rows, []string{
					strconv.FormatUint(e.GetRevision(), 10), moment(e.GetTime()), e.GetActor(), e.GetAction(), e.GetSubject(),
					dash(e.GetOrganizationId()), detail(e.GetDetail()),
				})
			}
			return t
		})
	})
	list.Flags().StringVar(&request.OrganizationId, "org", "", "only this organization's")
	list.Flags().StringVar(&request.Subject, "subject", "", "only about this id")
	list.Flags().StringVar(&request.Action, "action", "", "only this action, such as key.revoke")
	return a.group("audit", "Read who changed what", list)
}

func detail(details map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(details)) {
		parts = append(parts, name+"="+details[name])
	}
	return dash(strings.Join(parts, " "))
}
