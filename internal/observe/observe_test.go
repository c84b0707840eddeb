package observe

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"postern/authz/identity"
	"postern/authz/reason"
)

func newDecisions(t *testing.T, registry prometheus.Registerer) *Decisions {
	t.Helper()
	d, err := NewDecisions(registry)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEachDecisionIsCountedByProfileDecisionAndReason(t *testing.T) {
	registry := NewRegistry()
	decisions := newDecisions(t, registry)
	artos, authenta := decisions.For("artos"), decisions.For("authenta")
	artos.Observe(reason.Allowed, 20*time.Microsecond)
	artos.Observe(reason.Public, 20*time.Microsecond)
	authenta.Observe(reason.InsufficientCredits, time.Millisecond)
	authenta.Observe(reason.InsufficientCredits, time.Millisecond)

	for labels, want := range map[[3]string]float64{
		{"artos", "allow", "allowed"}:                1,
		{"artos", "allow", "public"}:                 1,
		{"artos", "deny", "revoked"}:                 0,
		{"authenta", "deny", "insufficient_credits"}: 2,
		{"authenta", "allow", "allowed"}:             0,
	} {
		if have := testutil.ToFloat64(decisions.checks.WithLabelValues(labels[:]...)); have != want {
			t.Errorf("%v: counted %v, want %v", labels, have, want)
		}
	}
}

func TestEveryReasonHasItsSeriesBeforeTheFirstRequest(t *testing.T) {
	decisions := newDecisions(t, prometheus.NewRegistry())
	decisions.For("artos")
	if have, want := testutil.CollectAndCount(decisions.checks), len(reason.All()); have != want {
		t.Errorf("%d series, want %d", have, want)
	}
	decisions.Forget("artos")
	if have := testutil.CollectAndCount(decisions.checks) + testutil.CollectAndCount(decisions.duration); have != 0 {
		t.Errorf("%d series are left of a profile that is gone", have)
	}
}

func TestReasonThatMustNotLeaveTheEngineCountsAsInternal(t *testing.T) {
	decisions := newDecisions(t, prometheus.NewRegistry())
	p := decisions.For("artos")
	p.Observe(reason.Unset, time.Microsecond)
	p.Observe(reason.Reason(255), time.Microsecond)
	if have := testutil.ToFloat64(decisions.checks.WithLabelValues("artos", "deny", "internal")); have != 2 {
		t.Errorf("counted %v as internal, want 2", have)
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	p := newDecisions(t, prometheus.NewRegistry()).For("artos")
	if allocs := testing.AllocsPerRun(1000, func() { p.Observe(reason.Allowed, 30*time.Microsecond) }); allocs != 0 {
		t.Errorf("%v allocations per decision", allocs)
	}
}

func TestTwoServersLiveInOneProcess(t *testing.T) {
	for range 2 {
		registry := NewRegistry()
		newDecisions(t, registry).Panicked()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]float64{}
		for _, family := range families {
			names[family.GetName()] = family.GetMetric()[0].GetCounter().GetValue() + family.GetMetric()[0].GetGauge().GetValue()
		}
		if names["postern_build_info"] != 1 || names["postern_panics_total"] != 1 || names["go_goroutines"] == 0 {
			t.Errorf("unexpected metrics: %v", names)
		}
	}
}

func TestMetricsAreRegisteredOnlyOnce(t *testing.T) {
	registry := NewRegistry()
	newDecisions(t, registry)
	if _, err := NewDecisions(registry); err == nil {
		t.Error("a second registration was accepted")
	}
}

func TestLoggerWritesItsFormatFromItsLevelOn(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "json", "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "key", identity.NewSecret("hunter2"))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if line["msg"] != "loud" || strings.Contains(out.String(), "hunter2") {
		t.Errorf("unexpected line: %s", out.String())
	}

	out.Reset()
	log, err = NewLogger(&out, "text", "debug")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("heard")
	if !strings.Contains(out.String(), "level=DEBUG msg=heard") {
		t.Errorf("unexpected line: %s", out.String())
	}
}

func TestUnknownLogSettingsAreRefused(t *testing.T) {
	for _, settings := range [][2]string{{"xml", "info"}, {"json", "loud"}, {"", ""}} {
		if _, err := NewLogger(&bytes.Buffer{}, settings[0], settings[1]); err == nil {
			t.Errorf("%v was accepted", settings)
		}
	}
}
