package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/authz"
	"postern/authz/identity"
)

// The simulation runs the real tiers, followers, leases and shared level of three
// replicas through random histories on one thread, with a fake clock, a store, a
// registry and a shared cache that may lose, delay and bring back. Its invariants
// are the promise: no credential is allowed after its revocation was confirmed, nor
// after the time that was named for the replicas that had not confirmed.

var errPartitioned = errors.New("partitioned")

type simRecord struct {
	ID       string
	Revoked  bool
	Revision identity.Revision
}

// simStore is the truth: records, the feed and the registry.
type simStore struct {
	now      time.Time
	records  map[string]simRecord
	changes  []identity.Change
	replicas map[identity.ReplicaID]identity.Replica
}

func (s *simStore) set(id string, revoked bool) identity.Revision {
	revision := identity.Revision(len(s.changes) + 1)
	s.records[id] = simRecord{id, revoked, revision}
	s.changes = append(s.changes, identity.Change{Revision: revision, Kind: identity.ChangeKey, Key: identity.KeyID(id)})
	return revision
}

// simShared is a shared cache without conscience.
type simShared struct {
	values   map[string]simValue
	snapshot map[string]simValue
	down     bool
	careless bool // a mutant: keeps whatever comes last
}

type simValue struct {
	revision identity.Revision
	value    []byte
}

func (s *simShared) Get(_ context.Context, key string) ([]byte, bool, error) {
	if s.down {
		return nil, false, errPartitioned
	}
	v, ok := s.values[key]
	return v.value, ok, nil
}

func (s *simShared) PutIfNewer(_ context.Context, key string, revision identity.Revision, value []byte, _ time.Duration) error {
	if s.down {
		return errPartitioned
	}
	if !s.careless && s.values[key].revision > revision {
		return nil
	}
	s.values[key] = simValue{revision, value}
	return nil
}

// simReplica is one server's cache side.
type simReplica struct {
	sim         *sim
	id          identity.ReplicaID
	skew        time.Duration
	partitioned bool
	fence       *Fence
	tier        *Tier[string, simRecord]
	follower    *Follower
	level       *Level[string, simRecord]
	writes      *Writes
}

func (r *simReplica) clock() time.Time { return r.sim.store.now.Add(r.skew) }

func (r *simReplica) ChangesAfter(_ context.Context, after identity.Revision, limit int) ([]identity.Change, error) {
	if r.partitioned {
		return nil, errPartitioned
	}
	rest := r.sim.store.changes[after:]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (r *simReplica) LatestRevision(context.Context) (identity.Revision, error) {
	if r.partitioned {
		return 0, errPartitioned
	}
	return identity.Revision(len(r.sim.store.changes)), nil
}

func (r *simReplica) Wake() (<-chan struct{}, func()) { return nil, func() {} }

func (r *simReplica) report(_ context.Context, applied identity.Revision) error {
	if r.partitioned {
		return errPartitioned
	}
	s := r.sim.store
	s.replicas[r.id] = identity.Replica{ID: r.id, Applied: max(applied, s.replicas[r.id].Applied), LeaseUntil: s.now.Add(simLease)}
	return nil
}

const (
	simLease = 5 * time.Second
	simTTL   = 10 * time.Second
	simKeys  = 4
)

// sim is one history.
type sim struct {
	random    *rand.Rand
	store     *simStore
	shared    *simShared
	replicas  []*simReplica
	mutant    mutant
	born      int
	depth     int
	confirmed map[string]bool      // revoked, and confirmed on every replica
	bound     map[string]time.Time // revoked: when the last replica may still allow
	trace     []string
	violation string
	allowed   int // look-ups that found a good record: the history is no silence
	refused   int
	believed  int // of them from the shared level
}

// mutant is a rule taken out.
type mutant struct{ noIfNewer, noLease bool }

func newSim(seed uint64, m mutant) *sim {
	s := &sim{
		random:    rand.New(rand.NewPCG(seed, 1)),
		store:     &simStore{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), records: map[string]simRecord{}, replicas: map[identity.ReplicaID]identity.Replica{}},
		shared:    &simShared{values: map[string]simValue{}, snapshot: map[string]simValue{}, careless: m.noIfNewer},
		mutant:    m,
		confirmed: map[string]bool{}, bound: map[string]time.Time{},
	}
	for range 3 {
		s.replicas = append(s.replicas, s.boot())
	}
	return s
}

// boot starts a replica with empty caches and a clock of its own.
func (s *sim) boot() *simReplica {
	s.born++
	r := &simReplica{
		sim: s, id: identity.ReplicaID(fmt.Sprint("r", s.born)), fence: &Fence{},
		skew: time.Duration(s.random.IntN(8000)-4000) * time.Millisecond, writes: NewWrites(1, 64, time.Second),
	}
	history := NewHistory(16, 0)
	tier, err := NewTier[string, simRecord](r.fence, Options{TTL: simTTL, Size: 16, NegativeSize: 16, Loads: 16, Clock: r.clock})
	if err != nil {
		panic(err)
	}
	r.tier = tier
	r.level = &Level[string, simRecord]{
		Shared: s.shared, Writes: r.writes, Prefix: "sim:", Secret: []byte("secret"), History: history,
		KeyText: func(key string) string { return key },
		Subjects: func(_ string, v simRecord) []Subject {
			if s.mutant.noIfNewer {
				return nil
			}
			return []Subject{KeySubject(identity.KeyID(v.ID))}
		},
		TTL: simTTL, Timeout: time.Second, Clock: r.clock,
		Seen: func(e Event) {
			if e == SharedHit {
				s.believed++
			}
		},
	}
	r.follower, err = NewFollower(r, r.fence, history, func(c identity.Change) {
		r.tier.Forget(string(c.Key))
		r.tier.Bury(string(c.Key), c.Revision)
	}, FollowerOptions{
		Poll: time.Second, Lease: simLease, Replay: 16, Forget: r.tier.ForgetAll, Report: r.report,
		Clock: r.clock, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	tier.Share(r.level, r.follower.Applied)
	if s.mutant.noLease {
		r.fence.Extend(s.store.now.Add(1000 * time.Hour))
	}
	_ = r.follower.Start(context.Background()) // without the feed it starts untrusted
	return r
}

func (s *sim) note(format string, args ...any) {
	s.trace = append(s.trace, strings.Repeat("  ", s.depth)+s.store.now.Format("05.000 ")+fmt.Sprintf(format, args...))
}

func (s *sim) key() string { return fmt.Sprint("k", s.random.IntN(simKeys)) }

func (s *sim) replica() *simReplica { return s.replicas[s.random.IntN(len(s.replicas))] }

// step does one random thing.
func (s *sim) step() {
	switch s.random.IntN(30) {
	case 0, 1:
		s.issue(s.key())
	case 2, 3, 4:
		s.revoke(s.key())
	case 5, 6:
		r := s.replica()
		s.note("%s follows the feed: %v", r.id, r.follower.Catch(context.Background()))
	case 7, 8:
		for _, r := range s.replicas {
			_ = r.follower.Catch(context.Background())
		}
		s.note("every replica follows the feed")
	case 9:
		s.confirm()
	case 10:
		r := s.replica()
		r.partitioned = !r.partitioned && s.random.IntN(2) == 0
		s.note("%s partitioned from the store: %v", r.id, r.partitioned)
	case 11:
		i := s.random.IntN(len(s.replicas))
		s.note("%s crashes and comes back as another", s.replicas[i].id)
		s.replicas[i] = s.boot()
	case 12:
		s.misfortune()
	case 13, 14:
		s.write(s.replica())
	case 15, 16:
		s.store.now = s.store.now.Add(time.Duration(s.random.IntN(3000)) * time.Millisecond)
	default:
		s.lookup(s.replica(), s.key())
	}
}

func (s *sim) issue(key string) {
	s.store.set(key, false)
	delete(s.confirmed, key)
	delete(s.bound, key)
	s.note("%s is issued (revision %d)", key, len(s.store.changes))
}

// revoke withdraws a key and asks at once how far it came, as the server does.
func (s *sim) revoke(key string) {
	if record, ok := s.store.records[key]; !ok || record.Revoked {
		return
	}
	s.store.set(key, true)
	s.note("%s is revoked (revision %d)", key, len(s.store.changes))
	if s.random.IntN(2) == 0 {
		for _, r := range s.replicas {
			if s.random.IntN(4) > 0 { // else the notification is lost
				_ = r.follower.Catch(context.Background())
			}
		}
	}
	s.confirm()
}

// confirm asks of every revoked key how far its revocation has come.
func (s *sim) confirm() {
	v := view{now: s.store.now}
	for _, r := range s.store.replicas {
		v.replicas = append(v.replicas, r)
	}
	for key, record := range s.store.records {
		if !record.Revoked || s.confirmed[key] {
			continue
		}
		c := v.confirmation(record.Revision)
		if len(c.Pending) == 0 {
			s.confirmed[key] = true
			s.note("%s is confirmed on %d replicas", key, len(c.InForce))
			continue
		}
		if _, known := s.bound[key]; !known {
			for _, r := range c.Pending {
				if r.LeaseUntil.After(s.bound[key]) {
					s.bound[key] = r.LeaseUntil
				}
			}
			s.note("%s may still be allowed until %s", key, s.bound[key].Format("05.000"))
		}
	}
}

// misfortune is what can happen to a shared cache.
func (s *sim) misfortune() {
	switch s.random.IntN(5) {
	case 0:
		s.shared.down = !s.shared.down && s.random.IntN(2) == 0
		s.note("the shared cache is down: %v", s.shared.down)
	case 1:
		s.shared.values = map[string]simValue{}
		s.note("the shared cache is flushed")
	case 2:
		s.shared.snapshot = copyOf(s.shared.values)
		s.note("the shared cache is saved")
	default:
		s.shared.values = copyOf(s.shared.snapshot)
		s.note("the shared cache is restored, or failed over to an older copy")
	}
}

func copyOf(values map[string]simValue) map[string]simValue {
	clone := make(map[string]simValue, len(values))
	for k, v := range values {
		clone[k] = v
	}
	return clone
}

// write lets a queued write of a replica arrive, however late, or be lost.
func (s *sim) write(r *simReplica) {
	select {
	case one := <-r.writes.queue:
		if s.random.IntN(8) > 0 {
			r.writes.do(context.Background(), one)
			s.note("%s's write of %s as of %d arrives", r.id, one.key, one.revision)
		}
	default:
	}
}

// lookup is one request: Decide from the cache, else Resolve by a load, in the
// middle of which anything may happen.
func (s *sim) lookup(r *simReplica, key string) {
	confirmed, bound, bounded := s.confirmed[key], s.bound[key], false
	if !bound.IsZero() {
		bounded = !s.store.now.Before(bound)
	}
	record, presence := r.tier.Cached(key, r.clock())
	how := "cached"
	if presence == authz.Unknown {
		how = "loaded"
		generation := r.fence.Generation()
		record, presence, _ = r.tier.Load(context.Background(), key, func(context.Context) (simRecord, authz.Presence, error) {
			return s.fetch(r, key, generation)
		})
	}
	if presence != authz.Found || record.Revoked {
		s.refused++
		return
	}
	if how == "loaded" && s.random.IntN(2) == 0 {
		s.write(r)
	}
	s.allowed++
	s.note("%s allows %s (%s, revision %d)", r.id, key, how, record.Revision)
	if confirmed && s.violation == "" {
		s.violation = fmt.Sprintf("%s allowed %s after its revocation was confirmed", r.id, key)
	}
	if bounded && s.violation == "" {
		s.violation = fmt.Sprintf("%s allowed %s after the advertised bound", r.id, key)
	}
}

// fetch reads the store; its answer may take so long that the world changes.
func (s *sim) fetch(r *simReplica, key string, generation uint64) (simRecord, authz.Presence, error) {
	if r.partitioned {
		return simRecord{}, authz.Unavailable, errPartitioned
	}
	record, found := s.store.records[key]
	if s.depth < 2 && s.random.IntN(3) == 0 {
		s.depth++
		for range s.random.IntN(6) {
			s.meanwhile(r, generation)
		}
		s.depth--
	}
	if !found {
		return simRecord{}, authz.Absent, nil
	}
	return record, authz.Found, nil
}

// meanwhile is a step during a load of the replica. A look-up there that would
// wait for the very load it happens in is left out.
func (s *sim) meanwhile(r *simReplica, generation uint64) {
	if s.random.IntN(3) == 0 {
		s.revoke(s.key())
		_ = r.follower.Catch(context.Background())
		return
	}
	before := s.replicas
	if r.fence.Generation() == generation {
		s.replicas = slices.DeleteFunc(slices.Clone(s.replicas), func(other *simReplica) bool { return other == r })
		if len(s.replicas) == 0 {
			s.replicas = before
			return
		}
		kept := slices.Clone(s.replicas)
		s.step()
		s.replicas = replaced(before, kept, s.replicas)
		return
	}
	s.step()
}

// replaced puts what a step made of some replicas back among all of them.
func replaced(all, kept, now []*simReplica) []*simReplica {
	all = slices.Clone(all)
	for i := range kept {
		all[slices.Index(all, kept[i])] = now[i]
	}
	return all
}

func (s *sim) run(steps int) {
	for i := range simKeys {
		s.issue(fmt.Sprint("k", i))
	}
	for range steps {
		if s.step(); s.violation != "" {
			return
		}
	}
}

const stepsEach = 60

// histories is how many are run; fewer under -short, for the race detector.
func histories() int {
	if testing.Short() {
		return 1000
	}
	return 10_000
}

func TestNoHistoryAllowsACredentialAfterItsRevocationIsConfirmed(t *testing.T) {
	var allowed, refused, believed, confirmed int
	for seed := range uint64(histories()) {
		s := newSim(seed, mutant{})
		if s.run(stepsEach); s.violation != "" {
			t.Fatalf("history %d: %s\n%s", seed, s.violation, strings.Join(s.trace, "\n"))
		}
		allowed, refused, believed, confirmed = allowed+s.allowed, refused+s.refused, believed+s.believed, confirmed+len(s.confirmed)
	}
	t.Logf("%d histories: %d allowed, %d of them through the shared level, %d refused, %d revocations confirmed at the end",
		histories(), allowed, believed, refused, confirmed)
	if allowed < histories() || believed < histories()/10 || confirmed < histories()/10 {
		t.Error("the histories are too quiet to prove anything")
	}
}

func TestTheSimulationFindsARuleThatIsMissing(t *testing.T) {
	for name, m := range map[string]mutant{
		"without if-newer, a slow or restored shared value comes back": {noIfNewer: true},
		"without the lease, a partitioned replica allows for ever":     {noLease: true},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(histories()) {
				s := newSim(seed, m)
				if s.run(stepsEach); s.violation != "" {
					t.Logf("history %d: %s", seed, s.violation)
					return
				}
			}
			t.Error("no history fails: the simulation cannot see the rule")
		})
	}
}
