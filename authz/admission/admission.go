// Package admission bounds what runs at once. It knows how long things take and
// how long somebody can wait, and nothing of what is done: whoever cannot be
// served in time is turned away at once, those nobody has seen before first.
package admission

import (
	"context"
	"errors"
	"time"
)

// ErrShed says that the work was not begun, to protect what is under way.
var ErrShed = errors.New("too much is under way")

// Class tells who goes first.
type Class uint8

// The classes. The zero value is the one that is shed first.
const (
	// Unseen is work for a credential that this replica has never seen to be good.
	Unseen Class = iota
	// Known is work for a credential that was seen to be good.
	Known

	classes
)

// String is the class's name in metrics.
func (c Class) String() string {
	if c == Known {
		return "known"
	}
	return "unseen"
}

// Work says for whom something is done.
type Work struct {
	Class Class
	// Deadline is when whoever waits must have an answer; zero: the context's.
	Deadline time.Time
	// Late, where set, is called when the work is let in although its answer is
	// expected after the deadline: it is still worth doing, but not worth waiting for.
	Late func()
}

type workKey struct{}

// On returns a context under which the work is done.
func (w Work) On(ctx context.Context) context.Context { return context.WithValue(ctx, workKey{}, w) }

// AsKnown returns a context under which the work goes first.
func AsKnown(ctx context.Context) context.Context {
	w, _ := ctx.Value(workKey{}).(Work)
	w.Class = Known
	return w.On(ctx)
}

// Deadline is when whoever waits for the context's work must have an answer: that
// of the work or of the context, whichever comes first.
func Deadline(ctx context.Context) (time.Time, bool) {
	w := workOf(ctx)
	return w.Deadline, !w.Deadline.IsZero()
}

func workOf(ctx context.Context) Work {
	w, _ := ctx.Value(workKey{}).(Work)
	if own, ok := ctx.Deadline(); ok && (w.Deadline.IsZero() || own.Before(w.Deadline)) {
		w.Deadline = own
	}
	return w
}
