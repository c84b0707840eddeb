package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store/internal/valid"
)

// leftAfter is how long a replica is told of after the end of its lease.
const leftAfter = time.Minute

const (
	replicaColumns = `id, name, applied, started_at, seen_at, lease_until`
	// The one clock that all replicas share is the database's.
	present       = `WITH present AS MATERIALIZED (SELECT clock_timestamp() AS at)`
	notifyReplica = `SELECT true FROM beaten, pg_notify('` + replicasChannel + `', '')`

	renewLease = present + `, beaten AS (
			UPDATE replicas SET name = $2, applied = greatest(applied, $3), seen_at = at, lease_until = at + $4
			FROM present WHERE id = $1 RETURNING id
		) ` + notifyReplica
	registerReplica = present + `, beaten AS (
			INSERT INTO replicas (` + replicaColumns + `) SELECT $1, $2, $3, at, at, at + $4 FROM present
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, applied = greatest(replicas.applied, excluded.applied),
				seen_at = excluded.seen_at, lease_until = excluded.lease_until
			RETURNING id
		) ` + notifyReplica
	selectReplicas = `SELECT ` + replicaColumns + ` FROM replicas WHERE lease_until >= $1 ORDER BY started_at, id`
	removeReplicas = `WITH beaten AS (
			DELETE FROM replicas WHERE id = $1 OR lease_until < $2 RETURNING id
		) ` + notifyReplica
)

func scanReplica(r row) (identity.Replica, error) {
	var v identity.Replica
	err := r.Scan(&v.ID, &v.Name, &v.Applied, (*instant)(&v.StartedAt), (*instant)(&v.SeenAt), (*instant)(&v.LeaseUntil))
	return v, err
}

// Beat implements store.Replicas. The first beat is on disk when it returns, so
// that a crash of the database makes nobody unknown who trusts a cache; later
// ones may be lost with it, and come again.
func (s *Store) Beat(ctx context.Context, replica identity.Replica, lease time.Duration) error {
	if err := valid.Replica(replica); err != nil {
		return failed(ctx, err, "register replica")
	}
	known, err := s.beat(ctx, beginUnflushed, renewLease, replica, lease)
	if err == nil && !known {
		_, err = s.beat(ctx, beginTransaction, registerReplica, replica, lease)
	}
	return failed(ctx, err, "register replica %q", replica.Name)
}

func (s *Store) beat(ctx context.Context, begin, statement string, r identity.Replica, lease time.Duration) (bool, error) {
	return transact(ctx, s, s.requests, begin, func(tx pgx.Tx) (bool, error) {
		beaten, err := readAll(ctx, tx, scanTrue, statement, r.ID, r.Name, r.Applied, lease)
		return len(beaten) > 0, err
	})
}

func scanTrue(r row) (bool, error) {
	var yes bool
	err := r.Scan(&yes)
	return yes, err
}

// ListReplicas implements store.Replicas.
func (s *Store) ListReplicas(ctx context.Context) ([]identity.Replica, time.Time, error) {
	now, err := s.databaseTime(ctx)
	if err != nil {
		return nil, time.Time{}, failed(ctx, err, "list replicas")
	}
	replicas, err := findAll(ctx, s, scanReplica, selectReplicas, now.Add(-leftAfter))
	return replicas, now, failed(ctx, err, "list replicas")
}

func (s *Store) databaseTime(ctx context.Context) (time.Time, error) {
	return find(ctx, s, func(r row) (time.Time, error) {
		var now instant
		err := r.Scan(&now)
		return time.Time(now), err
	}, `SELECT clock_timestamp()`)
}

// Leave implements store.Replicas. It takes those with it that left without a
// word long ago.
func (s *Store) Leave(ctx context.Context, id identity.ReplicaID) error {
	if !valid.IsText(string(id)) {
		return nil
	}
	now, err := s.databaseTime(ctx)
	if err == nil {
		_, err = findAll(ctx, s, scanTrue, removeReplicas, id, now.Add(-leftAfter))
	}
	return failed(ctx, err, "forget replica")
}

// WakeReplicas implements store.Replicas for the replicas of all servers.
func (s *Store) WakeReplicas() (<-chan struct{}, func()) { return s.beats.Subscribe() }
