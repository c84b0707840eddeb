package wire

import (
	"sync/atomic"
	"time"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/internal/observe"
)

// recorder finds the resolved metrics of a profile without a lock.
type recorder struct {
	decisions *observe.Decisions
	profiles  atomic.Pointer[map[identity.ProfileName]*observe.Profile]
}

func newRecorder(decisions *observe.Decisions, set *profile.Set) *recorder {
	r := &recorder{decisions: decisions}
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

// Observe counts one decision.
func (r *recorder) Observe(name identity.ProfileName, why reason.Reason, elapsed time.Duration) {
	profiles := *r.profiles.Load()
	p, ok := profiles[name]
	if !ok {
		p = profiles[""]
	}
	p.Observe(why, elapsed)
}
