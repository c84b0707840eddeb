package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"postern/internal/bench/rig"
)

// bench is one session: everything in it is measured on one machine, in turn.
type bench struct {
	rig            *rig.Rig
	plan           plan
	only           *regexp.Regexp
	log            io.Writer
	all            string // every processor that may be used, as taskset takes them
	server, client string // one for each; empty where there is only one
	signers        []*rig.Signer
	requestIDs     atomic.Int64 // given out so far
	measured       int          // scenarios
	failures       []error
	inner          []byte // the output of go test -bench
	results        Results
}

// plan says how long and how often is measured.
type plan struct {
	short            bool
	pairs            int           // of the main scenarios
	few              int           // of the others
	length           time.Duration // of one measurement, about
	connections      int
	streams          int     // in flight on each connection
	rate             float64 // of what can be sent once only
	connectionCounts []int
	keyCounts        []int
	usualCounts      []int
	routeCounts      []int
	floodRates       map[string]float64
	floodLength      time.Duration
	gcLength         time.Duration
	usualLength      time.Duration // at the usual GOGC
	gcRate           float64
	collections      int // that the live heap is the least of
	innerCount       int
	innerTime        string
}

func newPlan(short bool) plan {
	if short {
		return plan{
			short: true, pairs: 1, few: 1, length: 50 * time.Millisecond, connections: 2, streams: 8, rate: 1000,
			connectionCounts: []int{1, 4}, keyCounts: []int{100, 1000}, routeCounts: []int{1, 10},
			floodRates: map[string]float64{"sha256": 500, "bcrypt": 100}, floodLength: time.Second,
			usualCounts: []int{100}, gcLength: time.Second, usualLength: time.Second, gcRate: 1000, collections: 4, innerCount: 1, innerTime: "10x",
		}
	}
	return plan{
		pairs: 5, few: 2, length: 2 * time.Second, connections: 4, streams: 16, rate: 2500,
		connectionCounts: []int{1, 4, 16, 64}, keyCounts: []int{1000, 100_000, 1_000_000}, routeCounts: []int{1, 10, 100, 1000},
		floodRates: map[string]float64{"sha256": 5000, "bcrypt": 2500}, floodLength: 6 * time.Second,
		usualCounts: []int{1000, 1_000_000}, gcLength: 12 * time.Second, usualLength: 150 * time.Second, gcRate: 4000, collections: 6, innerCount: 5, innerTime: "200ms",
	}
}

// run measures everything that is wanted, and keeps what is known after each series.
func (b *bench) run(ctx context.Context, keep func() error) error {
	for _, series := range []func(context.Context) error{
		b.runMain, b.runApart, b.runSocket, b.runShared, b.runFlood, b.runEnvoy, b.runRoutes, b.runKeys, b.runCollections, b.runInner,
	} {
		if err := errors.Join(series(ctx), keep()); err != nil {
			return err
		}
	}
	return nil
}

// lost keeps what could not be measured, so that all else still is; the session fails
// in the end.
func (b *bench) lost(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = fmt.Errorf("%s: %w", name, err)
	fmt.Fprintln(b.log, " ", err)
	b.failures = append(b.failures, err)
	return nil
}

// wanted tells whether something of the name is to be measured, and says so.
func (b *bench) wanted(name string) bool {
	if !b.only.MatchString(name) {
		return false
	}
	b.measured++
	fmt.Fprintf(b.log, "%s\n", name)
	return true
}

// findCPUs reads which processors this process may use.
func (b *bench) findCPUs() error {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("the benchmarks need Linux: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if list, found := strings.CutPrefix(line, "Cpus_allowed_list:"); found {
			b.all = strings.TrimSpace(list)
			break
		}
	}
	if b.all == "" {
		return fmt.Errorf("/proc/self/status names no processors")
	}
	ends := strings.FieldsFunc(b.all, func(r rune) bool { return r == ',' || r == '-' })
	if len(ends) > 1 {
		b.server, b.client = ends[0], ends[len(ends)-1]
	}
	return nil
}
