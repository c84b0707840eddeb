package measure

import (
	"cmp"
	"slices"
	"time"
)

// Latency are percentiles of how long requests took.
type Latency struct {
	P50, P99, P999, Max time.Duration
}

// Percentiles sorts the times and takes the percentiles, by the nearest rank. Of
// no times they are zero.
func Percentiles(took []time.Duration) Latency {
	if len(took) == 0 {
		return Latency{}
	}
	slices.Sort(took)
	return Latency{P50: Rank(took, 500), P99: Rank(took, 990), P999: Rank(took, 999), Max: took[len(took)-1]}
}

// Rank is the smallest of the sorted values that so many thousandths of all do not
// exceed.
func Rank[T any](sorted []T, thousandths int) T {
	rank := (len(sorted)*thousandths + 999) / 1000
	return sorted[min(len(sorted), max(1, rank))-1]
}

// Spread is the middle of several measurements, and how far they lie apart.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf is the spread of the values, of which there must be one; the median of
// an even number is the mean of the two in the middle.
func SpreadOf(values ...float64) Spread {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	n := len(sorted)
	if n == 0 {
		return Spread{}
	}
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}
