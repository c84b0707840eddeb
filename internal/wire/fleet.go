package wire

import (
	"context"
	"time"

	"postern/admin"
	"postern/authz/identity"
	"postern/cache"
)

// confirmTimeout is how long a mutation waits for the replicas before it says
// which have not applied it; shorter than the lease, so that an administrator does
// not wait for a replica that is dead, but reads until when it counts.
const confirmTimeout = 3 * time.Second

// confirmer lets the management API wait for the fleet.
type confirmer struct{ fleet *cache.Fleet }

// Confirm waits until every live replica has applied the revision.
func (c confirmer) Confirm(ctx context.Context, revision identity.Revision) (admin.Confirmation, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	found, err := c.fleet.Confirm(ctx, revision)
	return admin.Confirmation{
		InForce: len(found.InForce), Replicas: len(found.InForce) + len(found.Pending),
		Elapsed: found.Elapsed, Pending: found.Pending,
	}, err
}
