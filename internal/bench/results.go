package main

import (
	"fmt"
	"math"

	"postern/internal/bench/measure"
	"postern/internal/bench/viaenvoy"
)

// Results are all that a session has measured. They name neither the machine nor a
// folder of it.
type Results struct {
	Machine   Machine    `json:"machine"`
	Scenarios []Scenario `json:"scenarios"`
	Floods    []Flood    `json:"floods"`
	Keys      []Keys     `json:"keys"`

	Collections []Collections `json:"collections"`

	Envoy []viaenvoy.Row `json:"through_envoy"`
}

// Scenario is one kind of request under one load, measured in pairs.
type Scenario struct {
	Name    string  `json:"name"`
	Load    string  `json:"load"`
	Noop    Figures `json:"noop"`
	Postern Figures `json:"postern"`
	Ratios  Figures `json:"ratios"`
	Pairs   []Pair  `json:"pairs"`
}

// Pair is both servers under the same load, one right after the other.
type Pair struct {
	Noop    Sample `json:"noop"`
	Postern Sample `json:"postern"`
	// Repeated is how many measurements failed and were made again.
	Repeated int `json:"repeated,omitempty"`
}

// repeated is how many measurements of the scenario were made again.
func (s Scenario) repeated() string {
	n := 0
	for _, p := range s.Pairs {
		n += p.Repeated
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d repeated", n)
}

// Sample is one server under one load. Times are in microseconds; what is said of
// processor time and objects is for one Check.
type Sample struct {
	Requests  int     `json:"requests"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	CPU       float64 `json:"cpu_us"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	Mallocs   float64 `json:"mallocs"`
	Memory    int64   `json:"memory_bytes"`
}

// Figures are a sample's of all pairs: of one server, or Postern's over those of the
// stock server, pair by pair.
type Figures struct {
	CPU       measure.Spread `json:"cpu"`
	PerSecond measure.Spread `json:"per_second"`
	P50       measure.Spread `json:"p50"`
	P99       measure.Spread `json:"p99"`
	P999      measure.Spread `json:"p999"`
	Mallocs   measure.Spread `json:"mallocs"`
	Memory    measure.Spread `json:"memory"`
}

// figures gathers one value of each pair for each figure; a ratio to nothing is none.
func figures(pairs []Pair, value func(p Pair, of func(Sample) float64) float64) Figures {
	spread := func(of func(Sample) float64) measure.Spread {
		var values []float64
		for _, p := range pairs {
			if v := value(p, of); !math.IsNaN(v) && !math.IsInf(v, 0) {
				values = append(values, v)
			}
		}
		return measure.SpreadOf(values...)
	}
	return Figures{
		CPU:       spread(func(s Sample) float64 { return s.CPU }),
		PerSecond: spread(func(s Sample) float64 { return s.PerSecond }),
		P50:       spread(func(s Sample) float64 { return s.P50 }),
		P99:       spread(func(s Sample) float64 { return s.P99 }),
		P999:      spread(func(s Sample) float64 { return s.P999 }),
		Mallocs:   spread(func(s Sample) float64 { return s.Mallocs }),
		Memory:    spread(func(s Sample) float64 { return float64(s.Memory) }),
	}
}

func newScenario(name, load string, pairs []Pair) Scenario {
	return Scenario{
		Name: name, Load: load, Pairs: pairs,
		Noop:    figures(pairs, func(p Pair, of func(Sample) float64) float64 { return of(p.Noop) }),
		Postern: figures(pairs, func(p Pair, of func(Sample) float64) float64 { return of(p.Postern) }),
		Ratios:  figures(pairs, func(p Pair, of func(Sample) float64) float64 { return of(p.Postern) / of(p.Noop) }),
	}
}
