//go:build !race

package wire_test

import "testing"

// The race detector makes a sync.Pool forget at random, so this is counted without it.

// TestADecisionOnWhatIsCachedAllocatesNothing: from bytes to bytes.
func TestADecisionOnWhatIsCachedAllocatesNothing(t *testing.T) {
	s, requests := cachedChecks(t)
	response := make([]byte, 0, 4096)
	for name, request := range requests {
		if name == "missing" || name == "denied" {
			continue // a denial is a line of the decision log
		}
		if n := testing.AllocsPerRun(200, func() { response = s.server.Checks().Check(t.Context(), request, response[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
