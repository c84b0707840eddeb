package measure

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestPercentilesAreByTheNearestRank(t *testing.T) {
	var took []time.Duration
	for i := 1000; i > 0; i-- {
		took = append(took, time.Duration(i))
	}
	if got, want := Percentiles(took), (Latency{P50: 500, P99: 990, P999: 999, Max: 1000}); got != want {
		t.Errorf("of 1 to 1000: %v, want %v", got, want)
	}
	if got, want := Percentiles([]time.Duration{7}), (Latency{7, 7, 7, 7}); got != want {
		t.Errorf("of one: %v", got)
	}
	if got, want := Percentiles([]time.Duration{3, 1, 2}), (Latency{2, 3, 3, 3}); got != want {
		t.Errorf("of three: %v", got)
	}
	if got := Percentiles(nil); got != (Latency{}) {
		t.Errorf("of none: %v", got)
	}
}

func TestSpreadHasTheMiddle(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{3, 1, 2}, Spread{2, 1, 3}}, {[]float64{4, 1, 2, 3}, Spread{2.5, 1, 4}}, {[]float64{5}, Spread{5, 5, 5}}, {nil, Spread{}},
	} {
		if got := SpreadOf(c.values...); got != c.want {
			t.Errorf("of %v: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestProcessorTimeIsReadBehindTheNameOfTheProgram(t *testing.T) {
	line := "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 2000 0 0 0 123 45 7 8 20 0 9 0 100 0 0"
	if got, err := parseStat([]byte(line)); err != nil || got != 1680*time.Millisecond {
		t.Errorf("got %v, %v", got, err)
	}
	for _, odd := range []string{"", "1 (a) S 1", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 12 13 14"} {
		if _, err := parseStat([]byte(odd)); err == nil {
			t.Errorf("%q is taken for processor time", odd)
		}
	}
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 10*time.Second; {
		if now, err := CPU(os.Getpid()); err != nil || now >= before+100*time.Millisecond {
			return
		}
	}
	t.Error("ten seconds of work are less than 100ms of processor time")
}

func TestMemoryIsReadInBytes(t *testing.T) {
	if got, err := parseResident([]byte("Name:\tp\nVmHWM:\t 9 kB\nVmRSS:\t    1024 kB\n")); err != nil || got != 1<<20 {
		t.Errorf("got %d, %v", got, err)
	}
	for _, odd := range []string{"", "VmRSS: 5", "VmRSS: x kB"} {
		if _, err := parseResident([]byte(odd)); err == nil {
			t.Errorf("%q is taken for memory", odd)
		}
	}
	if own, err := Memory(os.Getpid()); err != nil || own < 1<<20 {
		t.Errorf("this process has %d, %v", own, err)
	}
}

func TestH2LoadsSummaryIsRead(t *testing.T) {
	output := `starting benchmark...
finished in 130.50ms, 15325.67 req/s, 5.73MB/s
requests: 2000 total, 2000 started, 2000 done, 1999 succeeded, 1 failed, 0 errored, 0 timeout
status codes: 1999 2xx, 0 3xx, 0 4xx, 1 5xx
`
	got, err := parseH2Load(output)
	if err != nil || got.Requests != 1999 || got.Elapsed != 130500*time.Microsecond {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := parseH2Load(strings.Replace(output, "130.50ms", "2.05s", 1)); err != nil || got.Elapsed != 2050*time.Millisecond {
		t.Errorf("in seconds: %+v, %v", got, err)
	}
	if _, err := parseH2Load("starting benchmark...\n"); err == nil {
		t.Error("an output without a summary is taken for one")
	}
}

func TestH2LoadsLogIsRead(t *testing.T) {
	got, err := parseH2LoadLog(strings.NewReader("1700000000000000\t200\t812\n1700000000000100\t200\t35\n"))
	if err != nil || !reflect.DeepEqual(got, []time.Duration{812 * time.Microsecond, 35 * time.Microsecond}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, odd := range []string{"1\t503\t8\n", "1\t200\n", "1\t200\tx\n"} {
		if _, err := parseH2LoadLog(strings.NewReader(odd)); err == nil {
			t.Errorf("%q is taken for a success", odd)
		}
	}
}

func TestMetricsAreAddedByTheirLabels(t *testing.T) {
	m, err := parseMetrics(strings.NewReader(`# TYPE postern_checks_total counter
postern_checks_total{decision="allow",profile="a",reason="allowed"} 3
postern_checks_total{decision="deny",profile="a",reason="revoked"} 4
postern_checks_total{decision="allow",profile="b",reason="allowed"} 5
# TYPE go_memstats_mallocs_total counter
go_memstats_mallocs_total 1.5e+06
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		labels map[string]string
		want   float64
	}{
		{nil, 12}, {map[string]string{"reason": "allowed"}, 8}, {map[string]string{"profile": "a", "reason": "allowed"}, 3},
		{map[string]string{"profile": ""}, 0}, {map[string]string{"profile": "c"}, 0},
	} {
		if got := m.Sum("postern_checks_total", c.labels); got != c.want {
			t.Errorf("with %v: %v, want %v", c.labels, got, c.want)
		}
	}
	if m.Mallocs() != 1.5e6 || m.Sum("nothing", nil) != 0 {
		t.Errorf("mallocs %v, nothing %v", m.Mallocs(), m.Sum("nothing", nil))
	}
}

const gcLine = "gc 7 @12.250s 1%: 0.50+98.0+1.5 ms clock, 1.0+2.2/50/0+3.0 ms cpu, 400->420->380 MB, 760 MB goal, 1 MB stacks, 0 MB globals, 2 P"

func TestGCTraceIsRead(t *testing.T) {
	got, ok := parseGCTrace(gcLine)
	if want := (traced{at: 12250 * time.Millisecond, took: 100 * time.Millisecond, live: 380 << 20}); !ok || got != want {
		t.Errorf("got %+v, %t", got, ok)
	}
	if _, ok := parseGCTrace(gcLine + " (forced)"); !ok {
		t.Error("a forced collection is none")
	}
	for _, odd := range []string{"", `{"msg":"gc 7 @1s"}`, "gc 7 @12s", "scvg: inuse: 1"} {
		if _, ok := parseGCTrace(odd); ok {
			t.Errorf("%q is taken for a collection", odd)
		}
	}
}

func TestTheEarliestLineTellsWhenTheProgramBegan(t *testing.T) {
	began := time.Unix(1000, 0)
	trace := &GCTrace{stop: func() {}}
	late := began.Add(12350*time.Millisecond + 40*time.Millisecond)
	rest := trace.take([]byte(gcLine+"\n"+gcLine[:5]), late)
	trace.take(append(rest, strings.Replace(gcLine, "@12.250s", "@13.000s", 1)[5:]+"\n"...), began.Add(13100*time.Millisecond))
	cycles := trace.Stop()
	if len(cycles) != 2 || !cycles[0].Began.Equal(began.Add(12250*time.Millisecond)) || !cycles[1].Began.Equal(began.Add(13*time.Second)) {
		t.Errorf("got %+v", cycles)
	}
}
