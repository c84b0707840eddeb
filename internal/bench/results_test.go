package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/bench/load"
	"postern/internal/bench/measure"
)

func TestRatiosAreTakenWithinEachPair(t *testing.T) {
	s := newScenario("main/a", "load", []Pair{
		{Noop: Sample{CPU: 10, P99: 100}, Postern: Sample{CPU: 20, P99: 100}},
		{Noop: Sample{CPU: 20, P99: 100}, Postern: Sample{CPU: 30, P99: 300}},
		{Noop: Sample{CPU: 40, P99: 0}, Postern: Sample{CPU: 40, P99: 300}}, // no base, no ratio
	})
	if want := (measure.Spread{Median: 1.5, Min: 1, Max: 2}); s.Ratios.CPU != want {
		t.Errorf("CPU %v, want %v", s.Ratios.CPU, want)
	}
	if want := (measure.Spread{Median: 2, Min: 1, Max: 3}); s.Ratios.P99 != want {
		t.Errorf("p99 %v, want %v", s.Ratios.P99, want)
	}
	if s.Ratios.Mallocs != (measure.Spread{}) {
		t.Errorf("of nothing there is a ratio %v", s.Ratios.Mallocs)
	}
	if s.Noop.CPU.Median != 20 || s.Postern.CPU.Median != 30 {
		t.Errorf("the figures themselves are %v and %v", s.Noop.CPU, s.Postern.CPU)
	}
}

func TestARequestIsInACycleThatIsUnderWayWhenItIsAskedFor(t *testing.T) {
	began := time.Unix(100, 0)
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	result := load.Result{Began: began, Answers: []load.Answer{
		{At: ms(0), Took: ms(5)},   // before
		{At: ms(8), Took: ms(40)},  // before, and into it
		{At: ms(10), Took: ms(1)},  // within
		{At: ms(19), Took: ms(9)},  // within, and out of it
		{At: ms(20), Took: ms(1)},  // after
		{At: ms(25), Took: ms(2)},  // after
		{At: ms(5), Took: ms(100)}, // all around it
	}}
	got := divide(result, []measure.Cycle{{Began: began.Add(ms(10)), Took: ms(10)}})
	if got.Share != 2.0/7 || got.P99In != 9000 || got.P99Out != 100_000 || got.P99 != 100_000 || got.Cycles != 1 || got.CycleMS != 10 {
		t.Errorf("got %+v", got)
	}
}

func TestTheReportIsWhatWasMeasured(t *testing.T) {
	b := &bench{inner: []byte("BenchmarkX 1 2 ns/op\n")}
	b.results = Results{
		Machine:   Machine{Go: "go1.26"},
		Scenarios: []Scenario{newScenario("main/a key", "4 × 16", []Pair{{Noop: Sample{CPU: 10, Requests: 5}, Postern: Sample{CPU: 12.5, Requests: 6}}})},
		Floods:    []Flood{{Format: "bcrypt", Refused: 3}},
		Keys:      []Keys{{Keys: 1000, BytesPerKey: 512}},
	}
	dir := t.TempDir()
	if err := b.write(report{out: filepath.Join(dir, "bench"), docs: filepath.Join(dir, "docs")}); err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var again Results
	if err := json.Unmarshal([]byte(read("bench/results.json")), &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, b.results) {
		t.Errorf("read back: %+v", again)
	}
	for path, wants := range map[string][]string{
		"bench/results.md":         {"| a key | 4 × 16 | 1 | 10.0 → 12.5 | **1.25** (1.25–1.25) |", "| bcrypt |", "| 1000 | 512 |"},
		"docs/benchmarks.md":       {"# Benchmarks", "](benchmarks/main.svg)", "**1.25**"},
		"docs/benchmarks/main.svg": {"a key", "1.25"},
		"docs/benchmarks/keys.svg": {"polyline"},
		"bench/inner.txt":          {"BenchmarkX"},
	} {
		for _, want := range wants {
			if !strings.Contains(read(path), want) {
				t.Errorf("%s lacks %q:\n%s", path, want, read(path))
			}
		}
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(read("bench/results.json"), `"`+host+`"`) {
		t.Error("the results name the machine")
	}
}

func TestOnlyWhatMayBeWantedIsStarted(t *testing.T) {
	for pattern, want := range map[string]bool{
		"": true, "key": true, "^uncached/": true, "^unc": true, "^uncached/RS256 token$": true, "^(main|uncached)": true, "^main/": false, "^u[a-z]*/": true,
	} {
		b := &bench{only: regexp.MustCompile(pattern)}
		if got := b.any("deny/", "uncached/"); got != want {
			t.Errorf("%q: %t, want %t", pattern, got, want)
		}
	}
}
