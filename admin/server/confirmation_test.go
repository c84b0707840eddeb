package server

import (
	"testing"
	"time"

	"postern/admin"
	"postern/authz/identity"
)

func TestConfirmationTellsEveryPendingReplicaWithItsOwnLease(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	r2 := identity.Replica{ID: "b", Name: "r2", LeaseUntil: at.Add(9 * time.Second)}
	r3 := identity.Replica{ID: "c", Name: "r3", LeaseUntil: at}
	for name, c := range map[string]struct {
		confirmation admin.Confirmation
		summary      string
	}{
		"everywhere": {
			admin.Confirmation{InForce: 3, Replicas: 3, Elapsed: 14 * time.Millisecond},
			"in force on 3/3 replicas after 14 ms",
		},
		"one is behind": {
			admin.Confirmation{InForce: 2, Replicas: 3, Elapsed: 3 * time.Second, Pending: []identity.Replica{r3}},
			"in force on 2/3 replicas after 3000 ms; not yet on r3, which may decide from an older record until 2030-01-02T03:04:05Z",
		},
		"two are behind": {
			admin.Confirmation{InForce: 1, Replicas: 3, Elapsed: 3 * time.Second, Pending: []identity.Replica{r2, r3}},
			"in force on 1/3 replicas after 3000 ms; not yet on r2, which may decide from an older record until 2030-01-02T03:04:14Z" +
				"; not yet on r3, which may decide from an older record until 2030-01-02T03:04:05Z",
		},
		"nobody knows": {
			admin.Confirmation{},
			"committed, but how many replicas have applied it is unknown",
		},
	} {
		told := confirmation(c.confirmation)
		if told.GetSummary() != c.summary {
			t.Errorf("%s: the summary is %q", name, told.GetSummary())
		}
		if len(told.GetPending()) != len(c.confirmation.Pending) {
			t.Fatalf("%s: pending are %v", name, told.GetPending())
		}
		for i, r := range c.confirmation.Pending {
			p := told.GetPending()[i]
			if p.GetName() != r.Name || p.GetId() != string(r.ID) || !p.GetMayAllowUntil().AsTime().Equal(r.LeaseUntil) {
				t.Errorf("%s: %s is told as %v", name, r.Name, p)
			}
		}
		until := told.GetMayAllowUntil()
		if until == nil != c.confirmation.Until().IsZero() || until != nil && !until.AsTime().Equal(c.confirmation.Until()) {
			t.Errorf("%s: some replica may allow until %v, want %v", name, until, c.confirmation.Until())
		}
	}
}
