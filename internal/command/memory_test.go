package command

import (
	"log/slog"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestCollectionsBeginLateUnlessTheOperatorSetsTheirPace(t *testing.T) {
	limit := debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	goal := func(pace bool) uint64 {
		debug.SetGCPercent(100)
		ballast := tuneMemory(func(name string) (string, bool) { return "100", pace && name == "GOGC" }, slog.New(slog.DiscardHandler))
		runtime.GC()
		sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		metrics.Read(sample)
		runtime.KeepAlive(ballast)
		return sample[0].Value.Uint64()
	}
	const late = 64 << 20
	if got := goal(false); got < late {
		t.Errorf("a collection begins at %d bytes, want %d or more", got, late)
	}
	if got := goal(true); got >= late {
		t.Errorf("with GOGC set a collection begins at %d bytes, want fewer than %d", got, late)
	}
}
