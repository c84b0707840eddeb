package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	"postern/internal/bench/rig"
)

// bench is one session: everything in it is measured on one machine, in turn.
type bench struct {
	rig     *rig.Rig
	plan    plan
	only    *regexp.Regexp
	log     io.Writer
	all     string // every processor that may be used, as taskset takes them
	results Results
}

// plan says how long and how often is measured.
type plan struct {
	short       bool
	pairs       int           // of the main scenarios
	few         int           // of the others
	length      time.Duration // of one measurement, about
	connections int
	streams     int // in flight on each connection
}

func newPlan(short bool) plan {
	if short {
		return plan{short: true, pairs: 1, few: 1, length: 100 * time.Millisecond, connections: 2, streams: 8}
	}
	return plan{pairs: 5, few: 3, length: 2500 * time.Millisecond, connections: 4, streams: 16}
}

// wanted tells whether something of the name is to be measured, and says so.
func (b *bench) wanted(name string) bool {
	if !b.only.MatchString(name) {
		return false
	}
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
			return nil
		}
	}
	return fmt.Errorf("/proc/self/status names no processors on %s", runtime.GOOS)
}
