package main

import (
	"fmt"
	"strings"

	"postern/internal/bench/measure"
)

// group is the scenarios of one table.
type group struct{ prefix, title, says string }

func groups() []group {
	return []group{
		{"main/", "Decided from the caches, at saturation", "h2load sends one request again and again, as fast as it is answered; both servers and the load may use every processor."},
		{"half/", "The same at half the rate at which the stock server is saturated", "Requests come at a steady rate, whatever the answers take. A time counts from when a request should have been sent."},
		{"apart/", "The server on one processor, the load on another", "Cached requests at saturation."},
		{"socket/", "Over a Unix socket", "At saturation."},
		{"deny/", "Denials, at saturation", "Every denial is written to the decision log, an allow only one time in a hundred."},
		{"uncached/", "Tokens that were not seen before", "Each token is sent once; those of other issuers differ by a claim and have no jti."},
		{"metered/", "A metered route", "Every request has an id of its own and is charged, in a transaction that is flushed to the disk; with SQLite those that wait at the same time share one."},
		{"shared/", "Keys that are not remembered", "Each key is asked for once within the life of the caches."},
		{"connections/", "More connections", "A cached key at saturation."},
		{"routes/", "More routes in the profile", "A cached key at saturation; the request is for the last of the routes."},
	}
}

// tables is the part of the report with the numbers.
func (r *Results) tables(picture func(name string) string) string {
	var text strings.Builder
	for _, g := range groups() {
		r.scenarioTable(&text, g, picture)
	}
	r.keyTable(&text, picture)
	r.collectionsTable(&text)
	r.floodTable(&text)
	r.envoyTable(&text)
	return text.String()
}

func (r *Results) group(prefix string) (found []Scenario) {
	for _, s := range r.Scenarios {
		if strings.HasPrefix(s.Name, prefix) {
			found = append(found, s)
		}
	}
	return found
}

func (r *Results) scenarioTable(text *strings.Builder, g group, picture func(string) string) {
	scenarios := r.group(g.prefix)
	if len(scenarios) == 0 {
		return
	}
	fmt.Fprintf(text, "## %s\n\n%s Ratios are Postern's figure over the stock server's, pair by pair: the median, and in brackets the least and the most.\n\n", g.title, g.says)
	text.WriteString(picture(strings.TrimSuffix(g.prefix, "/")))
	text.WriteString("| Request | Load | Pairs | CPU µs a Check, stock → Postern | CPU ratio | Requests/s, stock → Postern | p50 ratio | p99 µs, stock → Postern | p99 ratio | p99.9 ratio | Allocations, stock → Postern | RSS MB, stock → Postern |\n")
	text.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range scenarios {
		n, p, q := s.Noop, s.Postern, s.Ratios
		fmt.Fprintf(text, "| %s | %s | %d%s | %.1f → %.1f | %s | %.0f → %.0f | %.2f | %.0f → %.0f | %s | %.2f | %.0f → %.0f | %.0f → %.0f |\n",
			strings.TrimPrefix(s.Name, g.prefix), s.Load, len(s.Pairs), s.repeated(), n.CPU.Median, p.CPU.Median, brackets(q.CPU),
			n.PerSecond.Median, p.PerSecond.Median, q.P50.Median, n.P99.Median, p.P99.Median, brackets(q.P99), q.P999.Median,
			n.Mallocs.Median, p.Mallocs.Median, n.Memory.Median/(1<<20), p.Memory.Median/(1<<20))
	}
	text.WriteString("\n")
}

func brackets(s measure.Spread) string {
	return fmt.Sprintf("**%.2f** (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

func (r *Results) keyTable(text *strings.Builder, picture func(string) string) {
	if len(r.Keys) == 0 {
		return
	}
	text.WriteString("## More keys in the cache\n\nEvery key was asked for once. The heap is what a garbage collection leaves, less what it left before. " +
		"Then a steady load rotates over as many keys as can be asked for within the life of the cache.\n\n")
	text.WriteString(picture("keys"))
	text.WriteString("| Keys | Heap bytes a key | RSS MB | Rotation over | Requests/s | CPU µs a Check | p99 µs |\n|---|---|---|---|---|---|---|\n")
	for _, k := range r.Keys {
		fmt.Fprintf(text, "| %d | %.0f | %d | %d | %.0f | %.1f (%.1f–%.1f) | %.0f (%.0f–%.0f) |\n", k.Keys, k.BytesPerKey, k.Memory>>20, k.Hot, k.Rate,
			k.CPU.Median, k.CPU.Min, k.CPU.Max, k.P99.Median, k.P99.Min, k.P99.Max)
	}
	text.WriteString("\n")
}

func (r *Results) collectionsTable(text *strings.Builder) {
	if len(r.Collections) == 0 {
		return
	}
	text.WriteString("## What garbage collections cost\n\nA steady load on at most 1,000 of the keys. A request is in a cycle if one is under way when it should be sent, " +
		"by the server's own trace (`GODEBUG=gctrace=1`). Strangers with unknown keys make the server allocate, because a Check from the caches does not. 400 is the usual GOGC; with 20 there are many more cycles. Late are those that were not allowed within half a second. " +
		"A cycle keeps both the server's processors busy, and the load shares them: much of what is seen within one is the client waiting for its turn.\n\n")
	text.WriteString("| Keys | GOGC | Cycles | Median cycle ms | Requests in a cycle | p99 µs in | p99 µs outside | p99 µs of all | p99.9 µs in | p99.9 µs outside | Late |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, g := range r.Collections {
		fmt.Fprintf(text, "| %d | %d | %d | %.1f | %.1f %% of %d | %.0f | %.0f | %.0f | %.0f | %.0f | %d |\n", g.Keys, g.GOGC, g.Cycles, g.CycleMS, 100*g.Share, g.Requests, g.P99In, g.P99Out, g.P99, g.P999In, g.P999Out, g.Late)
	}
	text.WriteString("\n")
}

func (r *Results) floodTable(text *strings.Builder) {
	if len(r.Floods) == 0 {
		return
	}
	text.WriteString("## Nine unknown keys for each good one\n\nThe good key's traffic alone, and at the same rate beside the flood. Every unknown key is another one.\n\n" +
		"| Format | Good/s | Unknown/s | p99 µs alone | p99 µs in the flood | Ratio | Good refused | Good without an answer |\n|---|---|---|---|---|---|---|---|\n")
	for _, f := range r.Floods {
		fmt.Fprintf(text, "| %s | %.0f | %.0f | %.0f | %.0f | %s | %d | %d |\n", f.Format, f.GoodRate, f.FloodRate, f.QuietP99.Median, f.FloodP99.Median, brackets(f.Ratio), f.Refused, f.Failed)
	}
	text.WriteString("\n")
}
