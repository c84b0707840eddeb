package command

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// gcPercent lets the heap grow to five times what lives before it is collected. What
// lives is small, and what a Check allocates is little and dies at once: collecting
// it at the runtime's default of 100 costs a tenth of the processor time of a Check.
const gcPercent = 400

// tuneMemory sets what the operator has not: the garbage collector's pace (GOGC), and
// the bound at which it works harder whatever its pace (GOMEMLIMIT), which is nine
// tenths of the container's limit where it has one.
func tuneMemory(env Env, log *slog.Logger) {
	if _, set := env("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	if _, err := memlimit.Set(memlimit.WithMin(64 << 20)); err != nil {
		log.Warn("the container's memory limit is not known; set GOMEMLIMIT to nine tenths of it", "error", fmt.Errorf("reading the control group: %w", err))
	}
}
