package feed

import (
	"testing"
	"time"

	"postern/authz/identity"
)

func TestPruningTakesAWholeBeginningAndLeavesTheLatest(t *testing.T) {
	old, fresh := time.Unix(1, 0), time.Unix(9, 0)
	before := time.Unix(5, 0)
	many := make([]Entry, PruneLook)
	for i := range many {
		many[i] = Entry{Revision: identity.Revision(i + 1), At: old}
	}
	for name, c := range map[string]struct {
		oldest  []Entry
		through identity.Revision
		more    bool
	}{
		"nothing is there":             {nil, 0, false},
		"the latest stays":             {[]Entry{{1, old}}, 0, false},
		"the old ones go":              {[]Entry{{1, old}, {4, old}, {5, fresh}, {6, fresh}}, 4, false},
		"all are old":                  {[]Entry{{1, old}, {2, old}, {3, old}}, 2, false},
		"a fresh one holds those back": {[]Entry{{1, old}, {2, fresh}, {3, old}, {4, old}}, 1, false},
		"a step is bounded":            {many, PruneStep, true},
		"a step that ends it":          {many[:PruneStep+1], PruneStep, false},
	} {
		if through, more := Prunable(c.oldest, before); through != c.through || more != c.more {
			t.Errorf("%s: through %d, more %v; want %d, %v", name, through, more, c.through, c.more)
		}
	}
}
