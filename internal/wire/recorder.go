package wire

import (
	"log/slog"
	"sync/atomic"
	"time"

	"postern/authz"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/internal/observe"
)

// recorder finds the resolved metrics of a profile without a lock.
type recorder struct {
	log       *slog.Logger
	decisions *observe.Decisions
	usage     *usageGatherer
	profiles  atomic.Pointer[map[identity.ProfileName]*observe.Profile]
}

func newRecorder(log *slog.Logger, decisions *observe.Decisions, usage *usageGatherer, set *profile.Set) *recorder {
	r := &recorder{log: log, decisions: decisions, usage: usage}
	r.serve(set)
	return r
}

// serve resolves the metrics of every profile, and of requests that have none.
func (r *recorder) serve(set *profile.Set) {
	resolved := map[identity.ProfileName]*observe.Profile{"": r.decisions.For("")}
	for _, name := range set.Names() {
		resolved[name] = r.decisions.For(name)
	}
	r.profiles.Store(&resolved)
}

// Observe counts one decision, and the use of the key that was allowed.
func (r *recorder) Observe(d *authz.Decision, at time.Time, elapsed time.Duration) {
	profiles := *r.profiles.Load()
	p := profiles[""]
	if d.Profile != nil {
		if known, ok := profiles[d.Profile.Name]; ok {
			p = known
		}
	}
	p.Observe(d.Reason, elapsed)
	if d.Stale {
		p.Stale()
	}
	if d.Reason == reason.Allowed {
		r.usage.note(d.Principal.Key, at)
	}
}

// Panicked counts and logs a panic that was turned into a denial.
func (r *recorder) Panicked(cause any, stack []byte) {
	r.decisions.Panicked()
	r.log.Error("a decision panicked and was denied", "panic", cause, "stack", string(stack))
}
