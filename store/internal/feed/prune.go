package feed

import (
	"time"

	"postern/authz/identity"
)

// PruneStep bounds what one call of Prune takes away of each kind.
const PruneStep = 2000

// PruneLook is how many entries Prunable wants to see: those of a step, and what
// tells whether more is left.
const PruneLook = PruneStep + 2

// Entry is a change's place in the feed.
type Entry struct {
	Revision identity.Revision
	At       time.Time
}

// Prunable tells, of the oldest entries in order, through which one a step takes
// them away, 0 for none. It stops before the first that is not old: what is left
// has no holes. The latest entry of all stays.
func Prunable(oldest []Entry, before time.Time) (through identity.Revision, more bool) {
	for i := 0; i+1 < len(oldest) && oldest[i].At.Before(before); i++ {
		if i == PruneStep {
			return through, true
		}
		through = oldest[i].Revision
	}
	return through, false
}
