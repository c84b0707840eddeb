package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	"postern/internal/bench/load"
	"postern/internal/bench/measure"
	"postern/internal/bench/rig"
	"postern/internal/demo/seed"
	adminv1 "postern/proto/postern/admin/v1"
)

// cacheLife is how long Postern may remember what it was asked, and a little more.
const cacheLife = 10500 * time.Millisecond

// distinct measures requests of which each is sent once within the life of the
// caches: to each server at the same rate. frames has one more than are measured,
// for the question before. before is done to Postern ahead of each measurement.
func (b *bench) distinct(ctx context.Context, s subject, rate float64, frames [][]byte, before func() error) (Scenario, error) {
	n := len(frames) - 1
	o := load.Options{
		Method: rig.Method, Connections: s.connections, Rate: rate, Requests: n,
		Message: func(i int) ([]byte, int) { return frames[i], 0 },
	}
	var asked time.Time // when Postern got the first of them
	found, err := interleave(s.pairs, s.noop, s.postern, func(server *rig.Server) (Sample, error) {
		if server == s.postern {
			time.Sleep(time.Until(asked.Add(cacheLife)))
			if before != nil {
				if err := before(); err != nil {
					return Sample{}, err
				}
			}
			defer func() { asked = time.Now() }()
		}
		return b.measure(ctx, server, frames[n], s.kind.want, send(o, s.kind.want))
	})
	return newScenario(s.name, perSecond(rate), found), err
}

// render makes so many frames, on all processors.
func render(n int, request func(i int) (rig.Request, error)) ([][]byte, error) {
	frames := make([][]byte, n)
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < n; i += workers {
				r, err := request(i)
				if err != nil {
					return err
				}
				if frames[i], err = r.Frame(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return frames, group.Wait()
}

// runUncached measures tokens that Postern has not seen before, by algorithm.
func (b *bench) runUncached(ctx context.Context, p *pairOfServers) error {
	for _, signer := range b.signers {
		name := "uncached/" + signer.Algorithm + " token"
		if !b.wanted(name) {
			continue
		}
		frames, err := render(b.requests(b.plan.rate)+1, func(i int) (rig.Request, error) {
			token, err := signer.Token(i)
			return get(signer.Profile, jobs, bearer(token)), err
		})
		if err != nil {
			return err
		}
		k := kind{want: allows(signer.Profile, "allowed")}
		s, err := b.distinct(ctx, b.subject(name, p.noop, p.postern.Server, k, b.plan.few), b.plan.rate, frames, nil)
		if err == nil {
			b.add(s)
		} else if err := b.lost(ctx, name, err); err != nil {
			return err
		}
	}
	return b.runOwnTokens(ctx, p)
}

// runOwnTokens measures Postern's own HS256 tokens, each of which has a record.
func (b *bench) runOwnTokens(ctx context.Context, p *pairOfServers) error {
	const name = "uncached/HS256 token of Postern's own, with its record"
	if !b.wanted(name) {
		return nil
	}
	tokens, err := issueTokens(ctx, p.postern, b.requests(b.plan.rate/5)+1)
	if err != nil {
		return b.lost(ctx, name, err)
	}
	frames, err := render(len(tokens), func(i int) (rig.Request, error) {
		return get("datasets", "/api/v1/companies/"+seed.CompanyID+"/datasets/", bearer(tokens[i])), nil
	})
	if err != nil {
		return err
	}
	k := kind{want: allows("datasets", "allowed")}
	s, err := b.distinct(ctx, b.subject(name, p.noop, p.postern.Server, k, b.plan.few), b.plan.rate/5, frames, nil)
	if err != nil {
		return b.lost(ctx, name, err)
	}
	b.add(s)
	return nil
}

// issueTokens has Postern mint them, through its management API.
func issueTokens(ctx context.Context, p *rig.Postern, n int) ([]string, error) {
	conn, ctx, err := p.Admin(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := adminv1.NewTokenServiceClient(conn)
	var mu sync.Mutex
	var tokens []string
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for range n {
		group.Go(func() error {
			issued, err := client.IssueToken(ctx, &adminv1.IssueTokenRequest{
				Profile: "datasets", OrganizationId: seed.CompanyID, UserId: "user_ada", Name: "bench",
				Kind: adminv1.TokenKind_TOKEN_KIND_PRIVATE, Expiration: &adminv1.IssueTokenRequest_Ttl{Ttl: durationpb.New(time.Hour)},
			})
			mu.Lock()
			defer mu.Unlock()
			tokens = append(tokens, issued.GetSecret())
			return err
		})
	}
	return tokens, group.Wait()
}

// runMetered measures a route that costs credits, each request with an id of its
// own: once as fast as the store commits, and at a quarter of that rate: requests that
// come at a rate wait in line for the one account, and a stall of the disk must not
// make the line longer than their deadline.
func (b *bench) runMetered(ctx context.Context, p *pairOfServers, store string) error {
	name := "metered/" + store
	if !b.wanted(name) {
		return nil
	}
	if err := topUp(ctx, p.postern); err != nil {
		return err
	}
	template := post("authenta", jobs, bearer(p.have["AUTHENTA_API_KEY"]))
	k := kind{request: template, want: allows("authenta", "allowed")}
	subject := b.subject(name, p.noop, p.postern.Server, k, b.plan.few)
	fast, err := b.closed(ctx, subject, b.numbered(template))
	if err != nil {
		return b.lost(ctx, name, err)
	}
	b.add(fast)
	rate := fast.Postern.PerSecond.Median / 4
	frames, err := render(b.requests(rate)*b.plan.few*4+1, func(int) (rig.Request, error) { return b.number(template), nil })
	if err != nil {
		return err
	}
	next := 0
	found, err := interleave(b.plan.few, p.noop, p.postern.Server, func(server *rig.Server) (Sample, error) {
		n := b.requests(rate)
		batch := frames[next : next+n]
		next += n
		o := load.Options{
			Method: rig.Method, Connections: subject.connections, Rate: rate, Requests: n,
			Message: func(i int) ([]byte, int) { return batch[i], 0 },
		}
		return b.measure(ctx, server, frames[len(frames)-1], k.want, send(o, k.want))
	})
	if err != nil {
		return b.lost(ctx, name, err)
	}
	b.add(newScenario(name+" at a quarter of its rate", perSecond(rate), found))
	return nil
}

// closed sends numbered requests as fast as they are answered, two at a time on each
// connection: more would only wait for the store.
func (b *bench) closed(ctx context.Context, s subject, frame func() []byte) (Scenario, error) {
	const streams = 2
	o := load.Options{
		Method: rig.Method, Connections: s.connections, Streams: streams,
		Message: func(int) ([]byte, int) { return frame(), 0 },
	}
	found, err := interleave(s.pairs, s.noop, s.postern, func(server *rig.Server) (Sample, error) {
		o.Requests = 200
		warm, err := send(o, s.kind.want)(ctx, server)
		if err != nil {
			return Sample{}, err
		}
		o.Requests = enough(measure.Load{Requests: warm.Requests, Elapsed: warm.Elapsed}, b.plan.length)
		return b.measure(ctx, server, frame(), s.kind.want, send(o, s.kind.want))
	})
	return newScenario(s.name, fmt.Sprintf("%d × %d in flight", s.connections, streams), found), err
}

// number gives a request an id of its own, as Envoy does.
func (b *bench) number(r rig.Request) rig.Request {
	r.ID = fmt.Sprint(9_000_000_000_000_000_000 + b.requestIDs.Add(1))
	return r
}

// numbered renders such requests one by one.
func (b *bench) numbered(template rig.Request) func() []byte {
	return func() []byte {
		frame, err := b.number(template).Frame()
		if err != nil {
			panic(err) // a request of strings is always rendered
		}
		return frame
	}
}

// topUp gives the account more than is spent.
func topUp(ctx context.Context, p *rig.Postern) error {
	conn, ctx, err := p.Admin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = adminv1.NewCreditServiceClient(conn).TopUp(ctx, &adminv1.TopUpRequest{OrganizationId: rig.BulkOrg, Amount: 10_000_000, Note: "bench"})
	if err != nil {
		return fmt.Errorf("top up: %w", err)
	}
	return nil
}
