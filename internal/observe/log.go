// Package observe makes the instruments that the server is watched by: the logger
// and the Prometheus metrics. It hands them out to be injected and keeps no
// global; it decides nothing and must not see a secret.
package observe

import (
	"fmt"
	"io"
	"log/slog"
)

// NewLogger writes lines of the format ("json" or "text") at the level ("debug",
// "info", "warn", "error") or above to w.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("log format %q: use json or text", format)
	}
}
