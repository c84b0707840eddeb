package envoy_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	adminv1 "postern/proto/postern/admin/v1"
)

const authentaBroke = `{"code":"INSUFFICIENT_BALANCE","statusCode":402,"message":"Insufficient balance. Please top up or enable pay-as-you-go billing"}`

// ledger is all of an account: its balance, and its movements by kind.
func (d directory) ledger(ctx context.Context, t *testing.T, org string) (balance int64, sums map[adminv1.LedgerKind]int64, debits int) {
	t.Helper()
	got, err := d.credits.GetAccount(ctx, &adminv1.GetAccountRequest{OrganizationId: org})
	if err != nil {
		t.Fatal(err)
	}
	sums = map[adminv1.LedgerKind]int64{}
	requests := map[string]bool{}
	for token := ""; ; {
		page, err := d.credits.ListLedger(ctx, &adminv1.ListLedgerRequest{OrganizationId: org, PageSize: 1000, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEntries() {
			sums[e.GetKind()] += e.GetAmount()
			if e.GetBalanceAfter() < 0 {
				t.Errorf("the balance was %d", e.GetBalanceAfter())
			}
			if e.GetKind() != adminv1.LedgerKind_LEDGER_KIND_DEBIT {
				continue
			}
			debits++
			if requests[e.GetRequestId()] {
				t.Errorf("the request %s was charged twice", e.GetRequestId())
			}
			requests[e.GetRequestId()] = true
		}
		if token = page.GetNextPageToken(); token == "" {
			return got.GetAccount().GetBalance(), sums, debits
		}
	}
}

// It is not parallel: the machine belongs to its clients. Envoy as it comes waits
// for a fifth of a second only, and a job that it gives up in the moment in which
// Postern allows it is paid for nothing: it gets fewer clients at once.
func TestThirtyTwoClientsSpendAHundredCreditsExactly(t *testing.T) {
	const asked, credits = 192, 100
	ctx, d := t.Context(), world.directory()
	for _, g := range world.gates {
		t.Run(g.name, func(t *testing.T) {
			clients := 32
			if !g.hardened {
				clients = 8
			}
			org := unique("org_spender")
			if err := d.tenant(ctx, org, credits); err != nil {
				t.Fatal(err)
			}
			_, key, err := d.key(ctx, "authenta", org, "READ", "WRITE")
			if err != nil {
				t.Fatal(err)
			}
			var allowed, refused atomic.Int64
			job := func() {
				r := g.send(t, "authenta", "POST /api/v1/jobs", "Authorization: Bearer "+key)
				switch {
				case r.status == 200:
					allowed.Add(1)
				case r.status == 402 && r.body == authentaBroke:
					refused.Add(1)
				default:
					t.Errorf("got %s", r)
				}
			}
			var working sync.WaitGroup
			for range clients {
				working.Go(func() {
					for range asked / clients {
						job()
					}
				})
			}
			working.Wait()
			balance, sums, debits := d.ledger(ctx, t, org)
			for late := 0; balance > 0 && late < 10; late++ { // given back to a client that Envoy let wait in vain
				job()
				balance, sums, debits = d.ledger(ctx, t, org)
			}
			if allowed.Load() != credits || refused.Load() < asked-credits {
				t.Errorf("%d allowed and %d refused, want %d and %d", allowed.Load(), refused.Load(), credits, asked-credits)
			}
			debited := sums[adminv1.LedgerKind_LEDGER_KIND_DEBIT] + sums[adminv1.LedgerKind_LEDGER_KIND_RELEASE]
			if balance != 0 || debited != -credits || sums[adminv1.LedgerKind_LEDGER_KIND_TOP_UP] != credits {
				t.Errorf("the balance is %d, after %d debits and the sums %v", balance, debits, sums)
			}
		})
	}
}

func TestOnlyAnAllowedJobIsChargedAndEachOnce(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		ctx, d, org := t.Context(), world.directory(), unique("org_frugal")
		if err := d.tenant(ctx, org, 10); err != nil {
			t.Fatal(err)
		}
		_, key, err := d.key(ctx, "authenta", org, "READ", "WRITE")
		if err != nil {
			t.Fatal(err)
		}
		_, reader, err := d.key(ctx, "authenta", org, "READ")
		if err != nil {
			t.Fatal(err)
		}
		balance := func() int64 { b, _, _ := d.ledger(ctx, t, org); return b }

		for _, line := range []string{"GET /api/v1/jobs", "HEAD /api/v1/jobs", "POST /api/v1/facesim/v1/search", "PUT /api/v1/jobs/1", "GET /health"} {
			if r := g.send(t, "authenta", line, bearer(key)...); r.status != 200 {
				t.Errorf("%s: %s", line, r)
			}
		}
		g.send(t, "authenta", "POST /api/v1/jobs", bearer(reader)...).refused(t)
		g.send(t, "authenta", "POST /api/v1/jobs", bearer(key+"x")...).refused(t)
		g.send(t, "authenta", "POST /api/v1/jobs;x", bearer(key)...).refused(t)
		g.send(t, "authenta", "OPTIONS /api/v1/jobs", "Origin: https://a.example", "Access-Control-Request-Method: POST", "Authorization: Bearer "+key).allowed(t)
		if balance() != 10 {
			t.Errorf("without a job the balance went from 10 to %d", balance())
		}
		g.send(t, "authenta", "POST /api/v1/jobs", bearer(key)...).allowed(t)
		g.send(t, "authenta", "POST /api/v1/jobs/", bearer(key)...).allowed(t)
		g.send(t, "authenta", "POST /api/v1/jobs?a=1", bearer(key)...).allowed(t)
		if balance() != 7 {
			t.Errorf("after three jobs the balance is %d, not 7", balance())
		}
		// What a client calls its request makes no second one free.
		for range 2 {
			g.send(t, "authenta", "POST /api/v1/jobs", append(bearer(key), "X-Request-Id: same", "Idempotency-Key: same")...).allowed(t)
		}
		if balance() != 5 {
			t.Errorf("after two more jobs the balance is %d, not 5", balance())
		}
	})
}

func TestTopUpAndPayAsYouGoWorkAtOnce(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		ctx, d, org := t.Context(), world.directory(), unique("org_broke")
		if err := d.tenant(ctx, org, 0); err != nil {
			t.Fatal(err)
		}
		_, key, err := d.key(ctx, "authenta", org, "WRITE")
		if err != nil {
			t.Fatal(err)
		}
		job := func() reply { return g.send(t, "authenta", "POST /api/v1/jobs", bearer(key)...) }
		job().denied(t, 402, authentaBroke)
		if _, err := d.credits.TopUp(ctx, &adminv1.TopUpRequest{OrganizationId: org, Amount: 1}); err != nil {
			t.Fatal(err)
		}
		job().allowed(t)
		job().denied(t, 402, authentaBroke)
		if _, err := d.credits.SetPayAsYouGo(ctx, &adminv1.SetPayAsYouGoRequest{OrganizationId: org, Enabled: true}); err != nil {
			t.Fatal(err)
		}
		job().allowed(t)
		if _, err := d.credits.SetPayAsYouGo(ctx, &adminv1.SetPayAsYouGoRequest{OrganizationId: org}); err != nil {
			t.Fatal(err)
		}
		job().denied(t, 402, authentaBroke)
	})
}
