package drill_test

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	adminv1 "postern/proto/postern/admin/v1"
)

const (
	rate = 200 // requests a second
	keys = 50  // in use
)

// tally counts answers.
type tally struct {
	expected sync.WaitGroup // answers that are still to come
	mu       sync.Mutex
	counts   [4]int
	mistakes []string
}

func (c *tally) add(v verdict, what string) {
	defer c.expected.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[v]++
	if v == wrong {
		c.mistakes = append(c.mistakes, what)
	}
}

// String is the counts in one line.
func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%5d right %3d wrong %4d answered 503 %4d not answered in time",
		c.counts[right], c.counts[wrong], c.counts[unavailable], c.counts[unanswered])
}

// expect fails the test where an answer was wrong, or none was right.
func (c *tally) expect(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[wrong] > 0 {
		t.Errorf("%d wrong answers, such as:", c.counts[wrong])
		for _, mistake := range c.mistakes[:min(5, len(c.mistakes))] {
			t.Error(mistake)
		}
	}
	if c.counts[right] == 0 {
		t.Error("no answer was right")
	}
}

// traffic is a steady rate of requests over all replicas and keys.
type traffic struct {
	fleet *fleet
	ring  *ring
	stop  func() // ends it, and waits for the answers

	background sync.WaitGroup

	mu    sync.Mutex
	tally *tally // of the requests from now on
}

// startTraffic makes the keys and begins.
func startTraffic(f *fleet) *traffic {
	f.t.Helper()
	tr := &traffic{fleet: f, ring: &ring{}, tally: &tally{}}
	for range keys {
		k, err := f.create()
		if err != nil {
			f.t.Fatal(err)
		}
		tr.ring.add(k)
		for _, r := range f.replicas { // so that each has it in its cache
			tr.try(tr.current(), r, k, 10*time.Second)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	tr.background.Go(func() {
		next := 0
		pace(ctx, rate, func() func() {
			next++
			r, k, count := f.replicas[next%len(f.replicas)], tr.ring.pick(), tr.current()
			return func() { tr.try(count, r, k, patience) }
		})
	})
	tr.stop = sync.OnceFunc(func() { cancel(); tr.background.Wait() })
	f.t.Cleanup(tr.stop)
	return tr
}

// try asks a replica and counts the answer. Requests are ended by their own bound
// only, so that none is given up because the drill is over.
func (tr *traffic) try(count *tally, r *replica, k *key, bound time.Duration) answer {
	a := r.ask(context.Background(), request("GET", k.secret), bound)
	count.add(k.judge(a), k.about(a))
	return a
}

// current is the count to which one answer is added next.
func (tr *traffic) current() *tally {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.tally.expected.Add(1)
	return tr.tally
}

// phase counts anew and returns the count so far, with every answer in it.
func (tr *traffic) phase() *tally {
	tr.mu.Lock()
	past := tr.tally
	tr.tally = &tally{}
	tr.mu.Unlock()
	past.expected.Wait()
	return past
}

// pace takes a call at a steady rate and runs it beside the others; it returns
// when the context has ended and all calls have.
func pace(ctx context.Context, rate int, next func() func()) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			calls.Go(next())
		}
	}
}

// create makes a key through any replica.
func (f *fleet) create() (*key, error) {
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Second)
	defer cancel()
	made, err := f.any().keys().CreateKey(ctx, &adminv1.CreateKeyRequest{
		Profile: "authenta", OrganizationId: org, Permissions: []string{"READ", "WRITE"},
	})
	if err != nil {
		return nil, err
	}
	return &key{id: made.GetKey().GetId(), secret: made.GetSecret()}, nil
}

func (f *fleet) any() *replica { return f.replicas[mathrand.IntN(len(f.replicas))] }

// revocation is how one came into force.
type revocation struct {
	confirmation *adminv1.Confirmation
	took         time.Duration // the whole call
}

// revoke withdraws a key and notes that it must be refused from the answer on, by
// all but those that the answer names, until the end of their leases.
func (f *fleet) revoke(ctx context.Context, through *replica, k *key) (revocation, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	k.ask()
	done, err := through.keys().RevokeKey(ctx, &adminv1.RevokeKeyRequest{Id: k.id})
	ended := time.Now()
	if err != nil {
		return revocation{}, err
	}
	c := done.GetConfirmation()
	if c.GetReplicas() > 0 { // else the fleet could not be asked
		pending := map[string]time.Time{}
		for _, p := range c.GetPending() {
			pending[p.GetId()] = p.GetMayAllowUntil().AsTime()
		}
		k.refuse(ended, pending)
	}
	return revocation{confirmation: c, took: ended.Sub(began)}, nil
}

// percentile of the series, by the nearest rank.
func percentile(series []time.Duration, p int) time.Duration {
	if len(series) == 0 {
		return 0
	}
	slices.Sort(series)
	return series[min(len(series)-1, len(series)*p/100)].Round(100 * time.Microsecond)
}
