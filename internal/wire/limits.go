package wire

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/authz/admission"
	"postern/authz/token"
	"postern/store"
	"postern/store/sqlite"
)

// The bounds of look-ups in the store. They begin at the connections that are there
// for them. A decision may need some four look-ups one after the other, and Envoy
// waits 200 ms unless it is told otherwise: one should not take longer than 50.
const (
	minReads     = 8
	initialReads = 16
	maxReads     = 64
	readTarget   = 50 * time.Millisecond
	readQueue    = 1024
)

// readsOf are the bounds of a store's look-ups. Those of SQLite are this process's own
// work: more of them than processors would only take turns, and strangers' half of
// them leaves a processor to the requests that are answered from the caches.
func readsOf(s store.Store, clock func() time.Time) admission.Options {
	o := admission.Options{Min: minReads, Initial: initialReads, Max: maxReads, Target: readTarget, Queue: readQueue, Clock: clock}
	if _, here := s.(*sqlite.Store); here {
		processors := max(2, runtime.GOMAXPROCS(0))
		o.Min, o.Initial, o.Max = processors, processors, processors
	}
	return o
}

// newLimiters makes the bounds that the slow paths share, with their metrics:
// one for all look-ups in the store, one for all verifications of tokens.
func newLimiters(s store.Store, registry prometheus.Registerer, clock func() time.Time) (reads, verifications *admission.Limiter, err error) {
	reads, err = admission.New(readsOf(s, clock))
	if err != nil {
		return nil, nil, err
	}
	if verifications, err = token.NewLimiter(clock); err != nil {
		return nil, nil, err
	}
	if err := limiterMetrics(registry, "postern_store_lookups", "look-ups in the store", reads); err != nil {
		return nil, nil, err
	}
	return reads, verifications, limiterMetrics(registry, "postern_token_verifications", "verifications of tokens", verifications)
}

// limiterMetrics read a limiter when they are asked for.
func limiterMetrics(registry prometheus.Registerer, name, what string, l *admission.Limiter) error {
	gauge := func(suffix, help string, labels prometheus.Labels, value func(admission.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name + suffix, Help: help, ConstLabels: labels},
			func() float64 { return value(l.Stats()) })
	}
	collectors := []prometheus.Collector{
		gauge("_limit", "How many "+what+" may run at once now.", nil, func(s admission.Stats) float64 { return float64(s.Limit) }),
		gauge("_in_flight", "How many "+what+" run.", nil, func(s admission.Stats) float64 { return float64(s.Running) }),
	}
	for _, class := range []admission.Class{admission.Unseen, admission.Known} {
		labels := prometheus.Labels{"class": class.String()}
		collectors = append(collectors,
			gauge("_queued", "How many "+what+" wait, by whether the credential was seen to be good before.", labels,
				func(s admission.Stats) float64 { return float64(s.Queued[class]) }),
			prometheus.NewCounterFunc(prometheus.CounterOpts{
				Name: name + "_shed_total", Help: "How many " + what + " were refused for lack of a place in time, by class.", ConstLabels: labels,
			}, func() float64 { return float64(l.Stats().Shed[class]) }))
	}
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}
