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

// The ballast is memory that nobody touches, so that it takes no room in the machine.
// The collector counts it as what lives: collections begin at five times as much, and
// are as many times fewer under a flood of unknown keys, which allocates. Each of them
// makes requests wait for some milliseconds. maxBallast makes collections begin at
// 65 MB or more. A container gives a twentieth of its limit, so that they begin at a
// quarter of it or more.
const maxBallast = 13 << 20

// tuneMemory sets what the operator has not: the garbage collector's pace (GOGC), and
// the bound at which it works harder whatever its pace (GOMEMLIMIT), which is nine
// tenths of the container's limit where it has one. What it returns must be kept as
// long as the server runs; it is nil where the operator has set the pace.
func tuneMemory(env Env, log *slog.Logger) (ballast []byte) {
	if _, err := memlimit.Set(memlimit.WithMin(64 << 20)); err != nil {
		log.Warn("the container's memory limit is not known; set GOMEMLIMIT to nine tenths of it", "error", fmt.Errorf("reading the control group: %w", err))
	}
	if _, set := env("GOGC"); set {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	return make([]byte, min(maxBallast, debug.SetMemoryLimit(-1)/20))
}
