package store

import (
	"context"
	"time"

	"postern/authz/identity"
)

// ErrPruned: the feed no longer holds what follows the given revision.
var ErrPruned = identity.ErrPruned

// Replicas keeps which servers run and how far each has applied the feed. It
// writes no audit event and no change, and need not survive a crash of the store:
// a replica that is forgotten beats again.
type Replicas interface {
	// Beat registers a replica or renews its lease from now on, by the store's
	// clock, and keeps how far it has come; Applied never moves back. The times
	// of the argument are ignored. It wakes the watchers of WakeReplicas.
	Beat(ctx context.Context, replica identity.Replica, lease time.Duration) error
	// ListReplicas returns every replica whose lease has not ended for longer
	// than a minute, ordered by start, and the store's present time.
	ListReplicas(ctx context.Context) ([]identity.Replica, time.Time, error)
	// Leave forgets a replica that has stopped; an unknown one is no error. It
	// wakes like Beat.
	Leave(ctx context.Context, id identity.ReplicaID) error
	// WakeReplicas hints that a replica has beaten or left, like Changes.Wake.
	WakeReplicas() (wake <-chan struct{}, cancel func())
}

// Secrets keeps random values that all replicas share.
type Secrets interface {
	// SharedSecret returns the value of a name, and keeps the proposed one where
	// there is none yet: whoever asks, and however many at once, all get the same.
	// ErrInvalid: the name or the value is empty.
	SharedSecret(ctx context.Context, name string, proposed identity.Secret) (identity.Secret, error)
}

// KeyUsage is how a key was used, as far as it was reported: reports may be lost
// with the replica that had gathered them.
type KeyUsage struct {
	Count  uint64
	LastAt time.Time // zero: never
}

// Usages counts how keys are used, apart from their records: no audit event, no
// change, and no revision.
type Usages interface {
	// AddUsage adds counts and moves the last times forward, never back. Unknown
	// keys are ignored.
	AddUsage(ctx context.Context, usages []identity.Usage) error
	// Usage returns a key's counts; zero for a key that was never used.
	Usage(ctx context.Context, id identity.KeyID) (KeyUsage, error)
}

// Pruning says what is old enough to go; a time that is left out, nothing.
type Pruning struct {
	// Changes before this time leave the feed, up to the first that is not;
	// ChangesAfter answers ErrPruned to whoever had not seen them. The latest
	// change always stays.
	Changes time.Time
	// RequestIDs of debits before this time are forgotten: the same id is charged
	// again, and a debit that is forgotten is not released any more. The ledger's
	// entries stay as they are.
	RequestIDs time.Time
}

// Pruner takes away what is no longer needed, in bounded steps.
type Pruner interface {
	// Prune removes what is old, some thousand rows a call at the most, and says
	// whether more is left.
	Prune(ctx context.Context, p Pruning) (more bool, err error)
}
