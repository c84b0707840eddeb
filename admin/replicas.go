package admin

import (
	"context"
	"time"

	"postern/authz/identity"
)

// FleetState is the live replicas at one moment.
type FleetState struct {
	Replicas []identity.Replica // oldest first
	Now      time.Time          // by the store's clock, as the replicas' times
	Latest   identity.Revision  // no replica's Applied is beyond it
}

// Replicas lists the live replicas. Every change that was committed before the
// call counts for the latest revision.
func (s *Service) Replicas(ctx context.Context) (FleetState, error) {
	latest, err := s.store.LatestRevision(ctx)
	if err != nil {
		return FleetState{}, failed(err, meaning{})
	}
	replicas, now, err := s.fleet.Replicas(ctx)
	if err != nil {
		return FleetState{}, failed(err, meaning{})
	}
	for _, r := range replicas {
		latest = max(latest, r.Applied) // what was committed meanwhile
	}
	return FleetState{Replicas: replicas, Now: now, Latest: latest}, nil
}
