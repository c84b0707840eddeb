package observe

import (
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"postern/authz/identity"
	"postern/authz/reason"
)

// NewRegistry is a registry with the Go runtime's, the process's and the build's
// own metrics. Two servers in one process have one each.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "postern_build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: buildLabels(),
	})
	build.Set(1)
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build,
	)
	return registry
}

func buildLabels() prometheus.Labels {
	labels := prometheus.Labels{"version": "unknown", "revision": "unknown", "go": "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return labels
	}
	labels["go"], labels["version"] = info.GoVersion, info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			labels["revision"] = setting.Value
		}
	}
	return labels
}

// Decisions counts and times the decisions of a server.
type Decisions struct {
	checks   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	stale    *prometheus.CounterVec
	panics   prometheus.Counter
}

// NewDecisions registers the metrics of decisions; a registry takes them once.
func NewDecisions(registry prometheus.Registerer) (*Decisions, error) {
	d := &Decisions{
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_checks_total",
			Help: "Checks answered, by profile, decision (allow or deny) and true reason.",
		}, []string{"profile", "decision", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "postern_check_duration_seconds",
			Help: "Time from a Check's arrival to its answer.",
			Buckets: []float64{
				10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6,
				1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1,
			},
		}, []string{"profile"}),
		stale: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "postern_stale_decisions_total",
			Help: "Decisions by older records than usual, because the store could not be asked and the profile allows it.",
		}, []string{"profile"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "postern_panics_total",
			Help: "Panics turned into denials; each is a defect.",
		}),
	}
	for _, c := range []prometheus.Collector{d.checks, d.duration, d.stale, d.panics} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Panicked counts one panic that was turned into a denial.
func (d *Decisions) Panicked() { d.panics.Inc() }

// For resolves the metrics of one profile, "" for requests that have none. Call it
// when a profile is loaded: each series exists from then on, at zero, so that a
// first failure is an increase an alert can see.
func (d *Decisions) For(profile identity.ProfileName) *Profile {
	p := &Profile{duration: d.duration.WithLabelValues(string(profile)), stale: d.stale.WithLabelValues(string(profile))}
	for _, r := range reason.All() {
		decision := "deny"
		if r.Allows() {
			decision = "allow"
		}
		p.checks[r] = d.checks.WithLabelValues(string(profile), decision, r.String())
	}
	return p
}

// Forget drops the series of a profile that is no longer served.
func (d *Decisions) Forget(profile identity.ProfileName) {
	labels := prometheus.Labels{"profile": string(profile)}
	d.checks.DeletePartialMatch(labels)
	d.duration.DeletePartialMatch(labels)
	d.stale.DeletePartialMatch(labels)
}

// Profile holds the resolved metrics of one profile.
type Profile struct {
	checks   [256]prometheus.Counter // by reason.Reason; nil where none may leave the engine
	duration prometheus.Observer
	stale    prometheus.Counter
}

// Stale counts one decision by an older record than usual.
func (p *Profile) Stale() { p.stale.Inc() }

// Observe counts one decision and how long it took. It looks up no label and
// allocates nothing. A Reason that must not leave the engine counts as internal.
func (p *Profile) Observe(r reason.Reason, took time.Duration) {
	counter := p.checks[r]
	if counter == nil {
		counter = p.checks[reason.Internal]
	}
	counter.Inc()
	p.duration.Observe(took.Seconds())
}
