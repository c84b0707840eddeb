package extauthz

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"postern/authz"
	"postern/authz/reason"
)

// Log is the decision log: one line a decision, with identifiers and never a
// credential, a header's value or a query.
type Log struct {
	logger *slog.Logger
	// allowSample is the share of allows that is written; denials always are.
	allowSample float64
}

// NewLog makes a decision log; allowSample is between 0 and 1.
func NewLog(logger *slog.Logger, allowSample float64) *Log {
	return &Log{logger: logger, allowSample: allowSample}
}

// Write logs one decision.
func (l *Log) Write(ctx context.Context, in *authz.Input, d *authz.Decision, elapsed time.Duration) {
	if d.Reason.Allows() && (l.allowSample <= 0 || rand.Float64() >= l.allowSample) { //nolint:gosec // sampling
		return
	}
	level := slog.LevelInfo
	if d.Reason == reason.Internal || d.Reason == reason.Unavailable || d.Reason == reason.Overloaded {
		level = slog.LevelWarn
	}
	if !l.logger.Enabled(ctx, level) {
		return
	}
	path, _, _ := strings.Cut(in.Path, "?")
	attrs := make([]slog.Attr, 0, 16)
	add := func(name, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(name, value))
		}
	}
	if d.Profile != nil {
		add("profile", string(d.Profile.Name))
	}
	attrs = append(attrs, slog.Bool("allowed", d.Reason.Allows()))
	add("reason", d.Reason.String())
	add("request_id", in.ID)
	add("http_method", in.Method)
	add("host", in.Host)
	add("path", path)
	if d.Route != nil {
		add("route", d.Route.Pattern)
	}
	p := &d.Principal
	add("method", string(p.Method))
	add("org", string(p.Org))
	add("user", string(p.User))
	add("key", string(p.Key))
	add("token", string(p.Token))
	if d.Stale {
		attrs = append(attrs, slog.Bool("stale", true))
	}
	if d.Charged != 0 {
		attrs = append(attrs, slog.Int64("charged", int64(d.Charged)))
	}
	if d.Cause != nil {
		add("cause", d.Cause.Error())
	}
	attrs = append(attrs, slog.Duration("elapsed", elapsed))
	l.logger.LogAttrs(ctx, level, "decision", attrs...)
}
