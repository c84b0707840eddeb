package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"postern/internal/bench/rig"
)

// pairOfServers are both servers, the real one seeded.
type pairOfServers struct {
	noop    *rig.Server
	postern *rig.Postern
	have    map[string]string // the credentials
}

func (b *bench) startPair(ctx context.Context, o rig.Options, noopAddress string) (*pairOfServers, error) {
	p := &pairOfServers{}
	var err error
	if p.noop, err = b.rig.Start(ctx, noopAddress, o.CPUs); err != nil {
		return nil, err
	}
	if p.postern, err = b.rig.StartPostern(ctx, o); err != nil {
		p.noop.Stop()
		return nil, err
	}
	if p.have, err = p.postern.Seed(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *pairOfServers) stop() {
	p.postern.Stop()
	p.noop.Stop()
}

// runMain measures what is decided from the caches: at saturation, and at half the
// rate at which the stock server is saturated.
func (b *bench) runMain(ctx context.Context) error {
	if !b.any("main/", "half/", "deny/", "connections/", "uncached/", "metered/sqlite") {
		return nil
	}
	signers, profiles, err := b.rig.Signers()
	if err != nil {
		return err
	}
	b.signers = signers
	p, err := b.startPair(ctx, rig.Options{CPUs: b.all, Profiles: profiles}, "")
	if err != nil {
		return err
	}
	defer p.stop()
	for _, k := range allowedKinds(p.have) {
		if err := b.saturateAndHalf(ctx, p, k); err != nil {
			return err
		}
	}
	denied, err := deniedKinds(p.have)
	if err != nil {
		return err
	}
	for _, k := range denied {
		if err := b.saturated(ctx, "deny/"+k.name, p, k, b.plan.few, b.plan.connections, b.all); err != nil {
			return err
		}
	}
	for _, connections := range b.plan.connectionCounts {
		if err := b.saturated(ctx, fmt.Sprint("connections/", connections), p, cachedKey(p.have), b.plan.few, connections, b.all); err != nil {
			return err
		}
	}
	if err := b.runUncached(ctx, p); err != nil {
		return err
	}
	return b.runMetered(ctx, p, "sqlite")
}

func (b *bench) saturated(ctx context.Context, name string, p *pairOfServers, k kind, pairs, connections int, cpus string) error {
	if !b.wanted(name) {
		return nil
	}
	subject := b.subject(name, p.noop, p.postern.Server, k, pairs)
	subject.connections, subject.cpus = connections, cpus
	s, err := b.saturate(ctx, subject)
	if err != nil {
		return b.lost(ctx, name, err)
	}
	b.add(s)
	return nil
}

// saturateAndHalf measures both; without the first, the rate is not known.
func (b *bench) saturateAndHalf(ctx context.Context, p *pairOfServers, k kind) error {
	before := len(b.results.Scenarios)
	if err := b.saturated(ctx, "main/"+k.name, p, k, b.plan.pairs, b.plan.connections, b.all); err != nil {
		return err
	}
	if name := "half/" + k.name; before < len(b.results.Scenarios) && b.wanted(name) {
		rate := b.results.Scenarios[before].Noop.PerSecond.Median / 2
		s, err := b.steady(ctx, b.subject(name, p.noop, p.postern.Server, k, b.plan.pairs), rate)
		if err != nil {
			return b.lost(ctx, name, err)
		}
		b.add(s)
	}
	return nil
}

// runApart gives the server one processor and the load another.
func (b *bench) runApart(ctx context.Context) error {
	if !b.any("apart/") {
		return nil
	}
	if b.server == "" {
		fmt.Fprintln(b.log, "apart/: left out, it needs two processors")
		return nil
	}
	p, err := b.startPair(ctx, rig.Options{CPUs: b.server}, "")
	if err != nil {
		return err
	}
	defer p.stop()
	kinds := allowedKinds(p.have)
	for _, k := range []kind{kinds[0], kinds[3], kinds[5]} { // a key, a token, neither
		if err := b.saturated(ctx, "apart/"+k.name, p, k, b.plan.few, b.plan.connections, b.client); err != nil {
			return err
		}
	}
	return nil
}

// runSocket measures over sockets in the file system instead of TCP.
func (b *bench) runSocket(ctx context.Context) error {
	if !b.any("socket/") {
		return nil
	}
	p, err := b.startPair(ctx, rig.Options{CPUs: b.all, Address: "unix://" + b.rig.Path("postern.sock")}, "unix://"+b.rig.Path("noop.sock"))
	if err != nil {
		return err
	}
	defer p.stop()
	return b.saturated(ctx, "socket/authenta cached key", p, cachedKey(p.have), b.plan.few, b.plan.connections, b.all)
}

// any tells whether something below one of the groups may be wanted, so that servers
// are started only for what is: a pattern that begins with ^ begins with its group.
func (b *bench) any(groups ...string) bool {
	anchored, found := strings.CutPrefix(b.only.String(), "^")
	if !found {
		return true
	}
	literal, _ := regexp.MustCompile(anchored).LiteralPrefix() // it was compiled with the ^ before
	for _, group := range groups {
		if strings.HasPrefix(literal, group) || strings.HasPrefix(group, literal) {
			return true
		}
	}
	return false
}
