package admin_test

import (
	"errors"
	"testing"
	"time"

	"postern/admin"
	"postern/authz/identity"
	"postern/store"
)

func (h *house) latest(t *testing.T) identity.Revision {
	t.Helper()
	revision, err := h.store.LatestRevision(t.Context())
	must(t, err)
	return revision
}

func TestRevocationSaysWhichReplicasMayStillAllowAndUntilWhen(t *testing.T) {
	h := open(t)
	h.settle(t)
	key := h.createKey(t, admin.NewKey{})
	sooner, later := h.now.Add(4*time.Second), h.now.Add(9*time.Second)
	h.confirm = func(identity.Revision) (admin.Confirmation, error) {
		return admin.Confirmation{InForce: 1, Replicas: 3, Pending: []identity.Replica{{Name: "r2", LeaseUntil: later}, {Name: "r3", LeaseUntil: sooner}}}, nil
	}
	_, c, err := h.RevokeKey(t.Context(), by, key.ID)
	must(t, err)
	if c.Complete() || len(c.Pending) != 2 || !c.Pending[1].LeaseUntil.Equal(sooner) {
		t.Errorf("the confirmation is %+v", c)
	}
	if !c.Until().Equal(later) {
		t.Errorf("some replica may allow until %s, want the last lease's end %s", c.Until(), later)
	}
	if until := (admin.Confirmation{InForce: 3, Replicas: 3}).Until(); !until.IsZero() {
		t.Errorf("nothing is pending, and yet some replica may allow until %s", until)
	}
}

func TestRevocationStandsWhenItCannotBeConfirmed(t *testing.T) {
	h := open(t)
	h.settle(t)
	key := h.createKey(t, admin.NewKey{})
	h.confirm = func(identity.Revision) (admin.Confirmation, error) {
		return admin.Confirmation{}, errors.New("the replicas cannot be asked")
	}
	revoked, c, err := h.RevokeKey(t.Context(), by, key.ID)
	must(t, err)
	if revoked.RevokedAt.IsZero() || c.Complete() {
		t.Errorf("the key is %+v, the confirmation %+v", revoked, c)
	}
}

// confirmationOf leaves the changed record out.
func confirmationOf[T any](_ T, c admin.Confirmation, err error) (admin.Confirmation, error) {
	return c, err
}

func TestEveryWithdrawalReturnsTheConfirmationOfItsOwnRevision(t *testing.T) {
	h := open(t)
	h.settle(t)
	var asked identity.Revision
	h.confirm = func(revision identity.Revision) (admin.Confirmation, error) {
		asked = revision
		return admin.Confirmation{InForce: 2, Replicas: 3, Pending: []identity.Replica{{Name: "r3"}}}, nil
	}
	newKey := func() identity.KeyID { return h.createKey(t, admin.NewKey{}).ID }
	newToken := func() identity.TokenID {
		issued, err := h.IssueToken(t.Context(), by, admin.NewToken{Profile: "artos", User: "u1", Org: "o1"})
		must(t, err)
		return issued.Token.ID
	}
	revoked, disabled, rotated, withdrawn, replaced := newKey(), newKey(), newKey(), newToken(), newToken()
	for _, change := range []struct {
		name string
		make func() (admin.Confirmation, error)
	}{
		{"key revoke", func() (admin.Confirmation, error) {
			return confirmationOf(h.RevokeKey(t.Context(), by, revoked))
		}},
		{"key disable", func() (admin.Confirmation, error) {
			return confirmationOf(h.SetKeyDisabled(t.Context(), by, disabled, true))
		}},
		{"key rotate", func() (admin.Confirmation, error) {
			r, err := h.RotateKey(t.Context(), by, rotated, 0, admin.Expiry{})
			return r.Confirmation, err
		}},
		{"token revoke", func() (admin.Confirmation, error) {
			return confirmationOf(h.RevokeToken(t.Context(), by, identity.TokenRef{ID: withdrawn}))
		}},
		{"another issuer's token revoke", func() (admin.Confirmation, error) {
			return confirmationOf(h.RevokeToken(t.Context(), by, identity.TokenRef{Issuer: "https://i", ID: "j"}))
		}},
		{"token rotate", func() (admin.Confirmation, error) {
			r, err := h.RotateToken(t.Context(), by, replaced, admin.Expiry{})
			return r.Confirmation, err
		}},
		{"user tokens revoke", func() (admin.Confirmation, error) {
			_, _, c, err := h.RevokeUserTokens(t.Context(), by, "u1")
			return c, err
		}},
		{"membership replace", func() (admin.Confirmation, error) {
			return confirmationOf(h.PutMembership(t.Context(), by, identity.MembershipRef{Org: "o1", User: "u1"}, []string{"read"}))
		}},
		{"membership delete", func() (admin.Confirmation, error) {
			return h.DeleteMembership(t.Context(), by, identity.MembershipRef{Org: "o1", User: "u1"})
		}},
		{"user disable", func() (admin.Confirmation, error) {
			return confirmationOf(h.SetUserDisabled(t.Context(), by, "u1", true))
		}},
		{"organization disable", func() (admin.Confirmation, error) {
			return confirmationOf(h.SetOrganizationDisabled(t.Context(), by, "o1", true))
		}},
	} {
		before := h.latest(t)
		c, err := change.make()
		must(t, err)
		if after := h.latest(t); asked != after || after == before {
			t.Errorf("%s: confirmed revision %d, committed %d after %d", change.name, asked, after, before)
		}
		if c.InForce != 2 || len(c.Pending) != 1 {
			t.Errorf("%s: the confirmation is lost: %+v", change.name, c)
		}
	}
}

func TestRotatedTokenIsRevokedBeforeAnyReplicaIsWaitedFor(t *testing.T) {
	h := open(t)
	h.settle(t)
	issued, err := h.IssueToken(t.Context(), by, admin.NewToken{Profile: "artos", User: "u1", Org: "o1"})
	must(t, err)
	waits := 0
	h.confirm = func(identity.Revision) (admin.Confirmation, error) {
		waits++
		if original, err := h.Token(t.Context(), issued.Token.ID); err != nil || original.RevokedAt.IsZero() {
			t.Errorf("the original goes on while a replica is waited for (%v)", err)
		}
		return admin.Confirmation{}, nil
	}
	_, err = h.RotateToken(t.Context(), by, issued.Token.ID, admin.Expiry{})
	must(t, err)
	if waits != 1 {
		t.Errorf("the replicas were waited for %d times, want once for both changes", waits)
	}
}

func TestReplicasAreMeasuredFromTheLatestCommittedRevision(t *testing.T) {
	h := open(t)
	h.settle(t)
	committed := h.latest(t)
	for name, c := range map[string]struct {
		applied []identity.Revision
		latest  identity.Revision
	}{
		"none has applied all":                       {[]identity.Revision{committed - 1, 0}, committed},
		"one has applied what was committed since":   {[]identity.Revision{committed, committed + 2}, committed + 2},
		"no replica is live, and a change is a fact": {nil, committed},
	} {
		h.fleet = func() ([]identity.Replica, error) {
			var replicas []identity.Replica
			for _, applied := range c.applied {
				replicas = append(replicas, identity.Replica{Applied: applied})
			}
			return replicas, nil
		}
		fleet, err := h.Service.Replicas(t.Context())
		must(t, err)
		if fleet.Latest != c.latest || len(fleet.Replicas) != len(c.applied) || !fleet.Now.Equal(h.now) {
			t.Errorf("%s: %+v, want the latest revision %d", name, fleet, c.latest)
		}
	}
}

func TestRegistryThatCannotBeReadIsUnavailableAndTellsNoMore(t *testing.T) {
	h := open(t)
	h.settle(t)
	h.fleet = func() ([]identity.Replica, error) { return nil, errors.New("private cause") }
	h.usage = func(identity.KeyID) (store.KeyUsage, error) { return store.KeyUsage{}, errors.New("private cause") }
	_, fleetErr := h.Service.Replicas(t.Context())
	_, usageErr := h.KeyUsage(t.Context(), "k")
	for _, err := range []error{fleetErr, usageErr} {
		if codeOf(err) != admin.Unavailable || err.Error() != "the store could not be asked; try again" {
			t.Errorf("%v", err)
		}
	}
}
