package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"postern/internal/bench/chart"
)

// report is where everything is written: the results, and the page with its pictures.
type report struct {
	out  string // folder of results.json, results.md and inner.txt
	docs string // folder of benchmarks.md and of benchmarks/ with the pictures
}

// write writes all files.
func (b *bench) write(to report) error {
	pictures := b.results.pictures()
	folder := filepath.Join(to.docs, "benchmarks")
	for _, dir := range []string{to.out, folder} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(b.results, "", "  ")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	files := map[string][]byte{
		filepath.Join(to.out, "results.json"): append(text, '\n'),
		filepath.Join(to.out, "results.md"):   []byte(b.results.machine() + b.results.tables(func(string) string { return "" })),
		filepath.Join(to.docs, "benchmarks.md"): []byte(page() + b.results.machine() + b.results.tables(func(name string) string {
			if pictures[name] == nil {
				return ""
			}
			return fmt.Sprintf("![%s](benchmarks/%s.svg)\n\n", name, name)
		})),
	}
	if len(b.inner) > 0 {
		files[filepath.Join(to.out, "inner.txt")] = b.inner
	}
	for name, picture := range pictures {
		files[filepath.Join(folder, name+".svg")] = picture
	}
	for path, content := range files {
		content = append(bytes.TrimRight(content, "\n"), '\n')
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

func (r *Results) machine() string {
	m := r.Machine
	return fmt.Sprintf("Measured on %s, revision `%s`: %d × %s, %s of memory, %s, %s, %s.\n\n",
		m.Date, m.Revision, m.Processors, m.Processor, m.Memory, m.Kernel, m.Go, m.H2Load)
}

// pictures are the plots by their names.
func (r *Results) pictures() map[string][]byte {
	found := map[string][]byte{}
	for name, title := range map[string]string{
		"main": "CPU per Check, times the stock server's", "deny": "CPU per Check of denials, times the stock server's",
		"uncached": "CPU per Check of tokens not seen before, times the stock server's",
	} {
		if bars := r.bars(name+"/", func(s Scenario) chart.Bar {
			c := s.Ratios.CPU
			return chart.Bar{Value: c.Median, Min: c.Min, Max: c.Max}
		}); len(bars) > 0 {
			found[name] = chart.Bars(title, "times", bars)
		}
	}
	if bars := r.bars("half/", func(s Scenario) chart.Bar {
		c := s.Ratios.P99
		return chart.Bar{Value: c.Median, Min: c.Min, Max: c.Max}
	}); len(bars) > 0 {
		found["half"] = chart.Bars("p99 at half the stock server's saturation, times the stock server's", "times", bars)
	}
	for _, name := range []string{"routes", "connections"} {
		if points := r.scaling(name + "/"); len(points[0].Points) > 0 {
			found[name] = chart.Lines("CPU per Check", name, "µs", points)
		}
	}
	if len(r.Keys) > 0 {
		found["keys"] = r.keyLines()
	}
	return found
}

func (r *Results) bars(prefix string, bar func(Scenario) chart.Bar) (bars []chart.Bar) {
	for _, s := range r.group(prefix) {
		b := bar(s)
		b.Label = strings.TrimPrefix(s.Name, prefix)
		bars = append(bars, b)
	}
	return bars
}

// scaling are the lines of scenarios that are named by a number.
func (r *Results) scaling(prefix string) []chart.Series {
	postern, noop := chart.Series{Name: "Postern"}, chart.Series{Name: "stock server"}
	for _, s := range r.group(prefix) {
		var x float64
		if _, err := fmt.Sscan(strings.TrimPrefix(s.Name, prefix), &x); err != nil {
			continue
		}
		postern.Points = append(postern.Points, chart.Point{X: x, Y: s.Postern.CPU.Median})
		noop.Points = append(noop.Points, chart.Point{X: x, Y: s.Noop.CPU.Median})
	}
	return []chart.Series{postern, noop}
}

func (r *Results) keyLines() []byte {
	all, in, out := chart.Series{Name: "rotation"}, chart.Series{Name: "in a collection"}, chart.Series{Name: "outside"}
	for _, k := range r.Keys {
		all.Points = append(all.Points, chart.Point{X: float64(k.Keys), Y: k.P99.Median})
	}
	for _, c := range r.Collections {
		if x := float64(c.Keys); c.GOGC == frequent {
			in.Points = append(in.Points, chart.Point{X: x, Y: c.P99In})
			out.Points = append(out.Points, chart.Point{X: x, Y: c.P99Out})
		}
	}
	return chart.Lines("p99 with more and more keys in the cache", "keys", "µs", []chart.Series{all, in, out})
}

// page is what stands before the numbers.
func page() string {
	return `# Benchmarks

<!-- Written by make bench. -->

What Postern costs, beside a stock server that does nothing: ` + "`internal/bench/noop`" + `, Envoy's generated types on a gRPC server with all its defaults,
which answers every Check with an empty OK. It is what any server in Go written with the usual libraries pays before it decides anything.

How it is measured:

- The real ` + "`postern serve`" + `, with a store, seeded through the management API, the metrics on, and the decision log in a file: denials always, allows
  one in a hundred. Both servers get the same bytes, a CheckRequest of about 1.4 KB with 23 headers as Envoy sends it.
- The servers are measured in turn on one machine, in pairs; every other pair begins with the other one. A figure is a ratio within a pair.
- CPU is the server's own user and system time by the kernel, over the Checks it answered. Allocations are counted by the Go runtime, RSS is the
  process's resident memory after the load. Times are seen by the client, over loopback, and include its own waiting for a processor.
- Before each load one Check is sent by an ordinary client, and its true reason must be the one expected; after it, Postern's own counters must have
  grown by exactly the number of requests, with that reason. A measurement of something else, or with an answer that came too late, is made once
  more and counted as repeated; a benchmark that fails again fails.
- h2load repeats one request. Where each must be another (tokens, keys, request ids) or a rate is kept, the load is the project's own, ` + "`internal/bench/load`" + `.

What is not: no network and no TLS; server and load share the processors unless a table says otherwise, so at saturation a time is mostly waiting in
line; nothing is said of other machines. Ratios travel better than times. ` + "`bench/results.json`" + ` has every pair, and ` + "`bench/inner.txt`" + `
what ` + "`go test -bench`" + ` says of single functions: ` + "`go tool -modfile=internal/tools/go.mod benchstat bench/inner.txt`" + `.

`
}
