package server

import (
	"context"

	"postern/admin"
	"postern/authz/identity"

	adminv1 "postern/proto/postern/admin/v1"
)

type replicas struct {
	adminv1.UnimplementedReplicaServiceServer
	failures
	service *admin.Service
}

// ListReplicas implements the rpc of ReplicaService.
func (s *replicas) ListReplicas(ctx context.Context, _ *adminv1.ListReplicasRequest) (*adminv1.ListReplicasResponse, error) {
	fleet, err := s.service.Replicas(ctx)
	if err != nil {
		return nil, s.status(ctx, err)
	}
	convert := func(r identity.Replica) *adminv1.Replica {
		return &adminv1.Replica{
			Id: string(r.ID), Name: r.Name, StartTime: timestamp(r.StartedAt), SeenTime: timestamp(r.SeenAt),
			AppliedRevision: uint64(r.Applied), Lag: uint64(fleet.Latest - r.Applied), LeaseEndTime: timestamp(r.LeaseUntil),
		}
	}
	return &adminv1.ListReplicasResponse{
		Replicas: all(fleet.Replicas, convert), StoreTime: timestamp(fleet.Now), LatestRevision: uint64(fleet.Latest),
	}, nil
}
