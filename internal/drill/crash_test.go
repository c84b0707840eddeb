package drill_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	adminv1 "postern/proto/postern/admin/v1"
)

// acknowledged is what the servers said was done, and what was asked besides.
type acknowledged struct {
	mu      sync.Mutex
	keys    []*key          // created
	revoked map[*key]bool   // revocation acknowledged
	debits  map[string]bool // by the ledger's request id: acknowledged, or only asked for
	done    int
}

func (d *acknowledged) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

func (d *acknowledged) note(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
	d.done++
}

// unrevoked takes a key that nobody has begun to revoke; nil where there is none.
func (d *acknowledged) unrevoked() *key {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.keys {
		if k.revoking.IsZero() {
			k.ask()
			return k
		}
	}
	return nil
}

func TestNothingAcknowledgedIsLostToAKillOverSQLite(t *testing.T) {
	t.Parallel()
	store := "sqlite://" + filepath.Join(t.TempDir(), "postern.db")
	if err := migrate(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	killInTheMiddle(t, startFleet(t, setup{replicas: 1, store: store}), func() {})
}

func TestNothingAcknowledgedIsLostToAKillOverPostgres(t *testing.T) {
	f := startFleet(t, setup{replicas: 3, store: rig.postgres.URL(database(t))})
	killInTheMiddle(t, f, func() {
		rig.postgres.Kill()
		if err := rig.postgres.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// killInTheMiddle creates, revokes and debits, kills all servers meanwhile, and
// the store, and looks whether everything is there that was acknowledged.
func killInTheMiddle(t *testing.T, f *fleet, killStore func()) {
	const deposit = 1_000_000
	if _, err := f.replicas[0].credits().TopUp(f.ctx, &adminv1.TopUpRequest{OrganizationId: org, Amount: deposit}); err != nil {
		t.Fatal(err)
	}
	payer, err := f.create()
	if err != nil {
		t.Fatal(err)
	}
	d := &acknowledged{revoked: map[*key]bool{}, debits: map[string]bool{}}
	number, kills := either(200, 1000), either(1, 4)
	for round := 1; round <= kills+1; round++ {
		target := number * round / (kills + 1)
		workers := startWork(f, d, payer, target)
		if round <= kills {
			for began := time.Now(); d.count() < target-8; time.Sleep(time.Millisecond) { // each worker in the middle of something
				if time.Since(began) > time.Minute {
					t.Fatalf("only %d of %d were done in a minute", d.count(), target)
				}
			}
			for _, r := range f.replicas {
				r.kill()
			}
			workers.Wait()
			killStore()
			for _, r := range f.replicas {
				r.start()
			}
			continue
		}
		workers.Wait()
	}
	t.Logf("%d acknowledged through %d kills: %d creates, %d revocations, the others debits", d.count(), kills, len(d.keys), len(d.revoked))
	if d.count() < number {
		t.Errorf("only %d of %d were done", d.count(), number)
	}
	keysAreThere(t, f, d)
	ledgerAddsUp(t, f, d)
}

// startWork does one thing after the other until so many are done in all, or the
// servers are gone.
func startWork(f *fleet, d *acknowledged, payer *key, target int) *sync.WaitGroup {
	workers := &sync.WaitGroup{}
	for worker := range 8 {
		workers.Go(func() {
			for n := worker; d.count() < target; n++ {
				if !one(f, d, payer, n) {
					return
				}
			}
		})
	}
	return workers
}

// one creates, revokes or debits; false: it was not acknowledged.
func one(f *fleet, d *acknowledged, payer *key, n int) bool {
	switch n % 3 {
	case 0:
		k, err := f.create()
		if err != nil {
			return false
		}
		d.note(func() { d.keys = append(d.keys, k) })
	case 1:
		k := d.unrevoked()
		if k == nil {
			return true
		}
		if _, err := f.revoke(f.ctx, f.any(), k); err != nil {
			return false
		}
		d.note(func() { d.revoked[k] = true })
	default:
		q := request("POST", payer.secret)
		id := "gateway:" + q.GetAttributes().GetRequest().GetHttp().GetId()
		d.mu.Lock()
		d.debits[id] = false
		d.mu.Unlock()
		if a := f.any().ask(context.Background(), q, 10*time.Second); a.status != 200 {
			return false
		}
		d.note(func() { d.debits[id] = true })
	}
	return true
}

func keysAreThere(t *testing.T, f *fleet, d *acknowledged) {
	t.Helper()
	lost := &tally{}
	for i, k := range d.keys {
		r := f.replicas[i%len(f.replicas)]
		found, err := r.keys().GetKey(f.ctx, &adminv1.GetKeyRequest{Id: k.id})
		if err != nil {
			t.Errorf("a key that was created is lost: %v", err)
			continue
		}
		state := found.GetKey().GetState()
		if d.revoked[k] && state != adminv1.KeyState_KEY_STATE_REVOKED || k.revoking.IsZero() && state != adminv1.KeyState_KEY_STATE_ACTIVE {
			t.Errorf("key %s is %v; its revocation was acknowledged: %v", k.id, state, d.revoked[k])
		}
		a := r.ask(t.Context(), request("GET", k.secret), 5*time.Second)
		if d.revoked[k] && a.reason != "revoked" || k.revoking.IsZero() && a.status != 200 {
			t.Errorf("key %s, revoked: %v, is answered %d %s", k.id, d.revoked[k], a.status, a.reason)
		}
		lost.expected.Add(1)
		lost.add(k.judge(a), k.about(a))
	}
	t.Logf("their keys are answered: %v", lost)
	lost.expect(t)
}

// ledgerAddsUp: every debit that was acknowledged is in it, once; none is in it
// that was not asked for; and it sums to the balance.
func ledgerAddsUp(t *testing.T, f *fleet, d *acknowledged) {
	t.Helper()
	credits := f.any().credits()
	sum, seen, page := int64(0), map[string]int{}, ""
	for {
		found, err := credits.ListLedger(f.ctx, &adminv1.ListLedgerRequest{OrganizationId: org, PageSize: 1000, PageToken: page})
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range found.GetEntries() {
			sum += entry.GetAmount()
			if entry.GetBalanceAfter() != sum {
				t.Errorf("entry %d: the balance after it is %d, the sum %d", entry.GetId(), entry.GetBalanceAfter(), sum)
			}
			if entry.GetKind() == adminv1.LedgerKind_LEDGER_KIND_DEBIT {
				seen[entry.GetRequestId()]++
			}
		}
		if page = found.GetNextPageToken(); page == "" {
			break
		}
	}
	account, err := credits.GetAccount(f.ctx, &adminv1.GetAccountRequest{OrganizationId: org})
	if err != nil {
		t.Fatal(err)
	}
	if balance := account.GetAccount().GetBalance(); balance != sum {
		t.Errorf("the balance is %d, the ledger sums to %d", balance, sum)
	}
	missing, unacknowledged := 0, 0
	for id, done := range d.debits {
		switch {
		case done && seen[id] != 1:
			missing++
			t.Errorf("the debit %s was acknowledged and is in the ledger %d times", id, seen[id])
		case !done && seen[id] > 0:
			unacknowledged++
		}
	}
	for id := range seen {
		if _, asked := d.debits[id]; !asked {
			t.Errorf("the ledger has a debit that nobody asked for: %s", id)
		}
	}
	t.Logf("ledger: %d debits, %d acknowledged ones missing, %d charged without an acknowledgement; sum %d",
		len(seen), missing, unacknowledged, sum)
}
