package ctl

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "postern/proto/postern/admin/v1"
)

func (a *app) replicas() *cobra.Command {
	c := a.call("replicas", "List the live replicas and how far each has followed the store", func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		response, err := adminv1.NewReplicaServiceClient(conn).ListReplicas(ctx, &adminv1.ListReplicasRequest{})
		if err != nil {
			return err
		}
		return a.print(response, func() table { return replicaTable(response) })
	})
	c.Long = "Lists the live replicas and how far each has followed the store.\n\n" +
		"LAG is how many revisions a replica was behind the latest when it was SEEN; with 0 every change is in force there.\n" +
		"A replica that is seen no more trusts its caches until its lease ends, and then leaves this list."
	return c
}

// replicaTable measures by the store's clock, not by this machine's.
func replicaTable(r *adminv1.ListReplicasResponse) table {
	t := table{header: []string{"NAME", "ID", "APPLIED", "LAG", "SEEN", "LEASE ENDS IN"}}
	now := r.GetStoreTime()
	for _, one := range r.GetReplicas() {
		t.rows = append(t.rows, []string{
			dash(one.GetName()), one.GetId(), strconv.FormatUint(one.GetAppliedRevision(), 10), strconv.FormatUint(one.GetLag(), 10),
			between(one.GetSeenTime(), now) + " ago", between(now, one.GetLeaseEndTime()),
		})
	}
	return t
}

// between is never below zero: what a replica was told may be older by a moment
// than what the store tells now.
func between(from, to *timestamppb.Timestamp) string {
	return max(0, to.AsTime().Sub(from.AsTime())).Round(time.Millisecond).String()
}
