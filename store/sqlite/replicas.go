package sqlite

import (
	"context"
	"time"

	"postern/authz/identity"
	"postern/store/internal/valid"
)

// leftAfter is how long a replica is told of after the end of its lease.
const leftAfter = time.Minute

const replicaColumns = `id, name, applied, started_at, seen_at, lease_until`

func scanReplica(r row) (identity.Replica, error) {
	var v identity.Replica
	err := r.Scan(&v.ID, &v.Name, &v.Applied, (*instant)(&v.StartedAt), (*instant)(&v.SeenAt), (*instant)(&v.LeaseUntil))
	return v, err
}

// Beat implements store.Replicas.
func (s *Store) Beat(ctx context.Context, replica identity.Replica, lease time.Duration) error {
	if err := valid.Replica(replica); err != nil {
		return failed(ctx, err, "register replica")
	}
	now := s.now()
	_, err := s.writes.ExecContext(ctx, `INSERT INTO replicas (`+replicaColumns+`) VALUES (?1, ?2, ?3, ?4, ?4, ?5)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, applied = max(applied, excluded.applied),
			seen_at = excluded.seen_at, lease_until = excluded.lease_until`,
		replica.ID, replica.Name, replica.Applied, instant(now), instant(now.Add(lease)))
	return s.beaten(failed(ctx, err, "register replica %q", replica.Name))
}

// ListReplicas implements store.Replicas.
func (s *Store) ListReplicas(ctx context.Context) ([]identity.Replica, time.Time, error) {
	now := s.now()
	replicas, err := readAll(ctx, s.reads, scanReplica,
		`SELECT `+replicaColumns+` FROM replicas WHERE lease_until >= ? ORDER BY started_at, id`, instant(now.Add(-leftAfter)))
	return replicas, now, failed(ctx, err, "list replicas")
}

// Leave implements store.Replicas. It takes those with it that left without a
// word long ago.
func (s *Store) Leave(ctx context.Context, id identity.ReplicaID) error {
	_, err := s.writes.ExecContext(ctx, `DELETE FROM replicas WHERE id = ? OR lease_until < ?`, id, instant(s.now().Add(-leftAfter)))
	return s.beaten(failed(ctx, err, "forget replica"))
}

// WakeReplicas implements store.Replicas for the replicas of this process.
func (s *Store) WakeReplicas() (<-chan struct{}, func()) { return s.beats.Subscribe() }

// beaten wakes whoever waits for replicas, if what they wait for was written.
func (s *Store) beaten(err error) error {
	if err == nil {
		s.beats.Wake()
	}
	return err
}
