// Package meter says how a request is paid for: a reservation before it is
// allowed, and its release when it was not served after all. It knows no store.
package meter

import (
	"context"
	"errors"
	"time"

	"postern/authz/identity"
)

// ErrInsufficient: the balance does not cover the cost, and pay-as-you-go is off.
var ErrInsufficient = errors.New("insufficient credits")

// Reservation asks to debit an organization's account for one request.
type Reservation struct {
	Org       identity.OrgID
	Key       identity.KeyID // who spends; empty for a token
	RequestID string         // the same id is charged once within an organization
	Cost      identity.Credits
	Note      string // the route, for the ledger
	At        time.Time
}

// Ledger is where the engine debits credits.
type Ledger interface {
	// Reserve debits the cost, exactly and at once. charged is false where the
	// request id was charged before. ErrInsufficient where the balance does not
	// cover it; any other error means that nothing is known.
	Reserve(ctx context.Context, r Reservation) (balance identity.Credits, charged bool, err error)
	// Release gives back what Reserve charged for a request that was not allowed
	// after all; the same request id may be charged again later. Releasing what
	// is not charged does nothing.
	Release(ctx context.Context, r Reservation) error
	// Affords reports whether Reserve would find the cost covered now; it debits nothing.
	Affords(ctx context.Context, org identity.OrgID, cost identity.Credits) (bool, error)
}
