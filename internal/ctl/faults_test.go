package ctl_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"postern/admin"
	"postern/admin/server"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/internal/testenv/servertest"
	"postern/store"
	"postern/store/sqlite"
)

// laggards is a fleet of three, of which the last hangs: it keeps its lease and
// has not applied the last two changes. The key that is asked about was used.
type laggards struct {
	admin.TokenSigner
	admin.Decider
	store *sqlite.Store
}

var (
	storeTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	lastUse   = time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)
)

func (l laggards) Replicas(ctx context.Context) ([]identity.Replica, time.Time, error) {
	latest, err := l.store.LatestRevision(ctx)
	replica := func(id identity.ReplicaID, behind identity.Revision, seen time.Duration) identity.Replica {
		at := storeTime.Add(-seen)
		return identity.Replica{
			ID: id, Name: string(id[1:]), Applied: latest - behind, StartedAt: at.Add(-time.Hour), SeenAt: at, LeaseUntil: at.Add(5 * time.Second),
		}
	}
	return []identity.Replica{replica("ir1", 0, 0), replica("ir2", 0, 12*time.Millisecond), replica("ir3", 2, 4200*time.Millisecond)}, storeTime, err
}

func (l laggards) Confirm(ctx context.Context, _ identity.Revision) (admin.Confirmation, error) {
	replicas, _, err := l.Replicas(ctx)
	return admin.Confirmation{InForce: 2, Replicas: 3, Elapsed: 3 * time.Second, Pending: replicas[2:]}, err
}

func (l laggards) Usage(context.Context, identity.KeyID) (store.KeyUsage, error) {
	return store.KeyUsage{Count: 42, LastAt: lastUse}, nil
}

// startLagging serves the management API of such a fleet over a real store.
func startLagging(t *testing.T) (url string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "postern.db")
	_, err := sqlite.Migrate(t.Context(), path)
	must(err)
	records, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
	must(err)
	t.Cleanup(func() { records.Close() })
	set, err := profile.Load(true)
	must(err)
	fleet := laggards{store: records}
	service, err := admin.NewService(admin.Options{
		Store: records, Signer: fleet, Decider: fleet, Confirmer: fleet, Fleet: fleet, Usages: fleet, Clock: time.Now,
		Profile: func(name identity.ProfileName) (*profile.Profile, bool) { p := set.ByName(name); return p, p != nil },
	})
	must(err)
	handler, err := server.NewHandler(server.Options{Service: service, AdminKey: identity.NewSecret(servertest.AdminKey)})
	must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	running := server.NewHTTPServer(handler)
	go running.Serve(listener)
	t.Cleanup(func() { running.Close() })
	return "http://" + listener.Addr().String()
}

// A script that goes on after a withdrawal must not take it for done.
func TestWithdrawalsThatAReplicaHasNotAppliedFailAndSaySo(t *testing.T) {
	run(t, "testdata/faults/lagging.txtar", startLagging(t))
}
