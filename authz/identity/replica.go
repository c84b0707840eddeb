package identity

import "time"

// ReplicaID identifies one running server; a restart is a new one.
type ReplicaID string

// Replica is one running server as the store sees it. All its times are by the
// store's clock.
type Replica struct {
	ID      ReplicaID
	Name    string // for people: the host's name
	Applied Revision
	// StartedAt is its first beat, SeenAt its last.
	StartedAt, SeenAt time.Time
	// LeaseUntil is when it stops trusting its caches unless it beats again.
	LeaseUntil time.Time
}

// Usage is how often a key was allowed since the last report, and when last.
type Usage struct {
	Key    KeyID
	Count  uint64
	LastAt time.Time
}
