package viaenvoy

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const summary = `starting benchmark...
Main benchmark duration is started for thread #0.

finished in 2.00s, 23660.50 req/s, 2.66MB/s
requests: 47321 total, 47321 started, 47321 done, 47321 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 47321 2xx, 0 3xx, 0 4xx, 0 5xx
`

func TestSummaryOfALoadIsRead(t *testing.T) {
	if o, err := parseSummary(summary); err != nil || o.requests != 47321 || o.rate != 23660.5 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestLoadThatWasNotNearlyAllAnsweredBy200IsAnError(t *testing.T) {
	o, err := parseSummary(strings.Replace(strings.Replace(summary, "47321 succeeded, 0 failed", "47301 succeeded, 20 failed", 1), "0 errored", "2 errored", 1))
	if err != nil || o.requests != 47301 || o.other != 22 {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, c := range [][2]string{
		{"47321 succeeded, 0 failed", "46000 succeeded, 1321 failed"}, {"47321 succeeded", "0 succeeded"}, {"0 timeout", "1000 timeout"}, {"0 errored", "1000 errored"},
		{"finished in", "failed after"}, {"requests:", "asked:"},
	} {
		if _, err := parseSummary(strings.Replace(summary, c[0], c[1], 1)); err == nil {
			t.Errorf("%q in the place of %q was accepted", c[1], c[0])
		}
	}
}

func TestLogOfALoadIsRead(t *testing.T) {
	took, err := parseLog(strings.NewReader("1700000000000000\t200\t432\n1700000000000050\t403\t9\n1700000000000100\t200\t1500\t7\n"))
	if err != nil || !slices.Equal(took, []time.Duration{432 * time.Microsecond, 1500 * time.Microsecond}) {
		t.Errorf("got %v, %v", took, err)
	}
	for _, line := range []string{"1\t200\n", "1\t200\tx\n", "\n"} {
		if _, err := parseLog(strings.NewReader(line)); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

func TestPercentilesAreOfTheNearestRank(t *testing.T) {
	var took []time.Duration
	for i := 100; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Microsecond)
	}
	if p50, p99, p100 := percentile(took, 50), percentile(took, 99), percentile(took, 100); p50 != 50 || p99 != 99 || p100 != 100 {
		t.Errorf("got %v, %v, %v", p50, p99, p100)
	}
	if one := percentile(took[:1], 1); one != 100 {
		t.Errorf("of one it is %v", one)
	}
	if none := percentile(nil, 50); none != 0 {
		t.Errorf("of none it is %v", none)
	}
}

func TestSpreadIsTheMedianAndTheEnds(t *testing.T) {
	if s := spreadOf([]float64{5, 1, 3}); s != (Spread{3, 1, 5}) {
		t.Errorf("got %+v", s)
	}
	if s := spreadOf([]float64{4, 1, 3, 2}); s != (Spread{2.5, 1, 4}) {
		t.Errorf("got %+v", s)
	}
	if s := spreadOf(nil); s != (Spread{}) {
		t.Errorf("of none it is %+v", s)
	}
}

func TestNoProcessUsesNoProcessorTime(t *testing.T) {
	if _, err := cpu(os.Getpid()); err != nil {
		t.Error(err)
	}
	if used, err := cpu(0); err != nil || used != 0 {
		t.Errorf("of no process it is %v, %v", used, err)
	}
}

func TestRatiosAreOfOneRoundAndOfTheSameTransport(t *testing.T) {
	fronts := []front{
		{name: noAuth, concurrency: 1}, {name: stock, transport: tcp, concurrency: 1}, {name: stock, transport: unix, concurrency: 1},
		{name: postern, transport: unix, concurrency: 1},
	}
	samples := [][]sample{
		{{1000, 10, 20, 5, 0, 0}, {2000, 20, 20, 5, 0, 0}},
		{{300, 40, 50, 10, 10, 0}, {600, 40, 50, 10, 10, 0}},
		{{400, 30, 50, 10, 10, 0}, {800, 60, 50, 10, 10, 0}},
		{{200, 60, 70, 10, 30, 0}, {800, 60, 90, 10, 5, 0}},
	}
	all := rows(fronts, samples, plan{pace: 7})
	got := all[3]
	if got.ThroughputRatio != (Spread{0.75, 0.5, 1}) || got.P50Ratio != (Spread{1.5, 1, 2}) || got.AddedP50 != (Spread{45, 40, 50}) ||
		got.CPURatio != (Spread{1.375, 0.75, 2}) || got.ServerCPURatio != (Spread{1.75, 0.5, 3}) || got.Rounds != 2 || got.Rate != 700 {
		t.Errorf("got %+v", got)
	}
	if ofNone := all[0]; ofNone.ThroughputRatio.Median != (1000.0/300+2000.0/600)/2 || ofNone.ServerCPURatio != (Spread{}) {
		t.Errorf("without a server: %+v", ofNone)
	}
}
