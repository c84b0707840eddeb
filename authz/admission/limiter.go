package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Options are the bounds of a Limiter.
type Options struct {
	// Min, Initial and Max bound how much runs at once. The limit moves between Min
	// and Max; where they are equal it stands still.
	Min, Initial, Max int
	// Target is how long one piece of work may take before the limit shrinks.
	Target time.Duration
	// Queue bounds the waiters of each class.
	Queue int
	// Clock tells the time, by which deadlines are measured too.
	Clock func() time.Time
}

// Limiter lets so much work run at once and lets the rest wait, in two lines.
//
// Known work goes first, and unseen work never holds more than half of the places,
// so that a flood of it leaves room. Of the time until its deadline a waiter may
// spend half in line; the other half is for being served, and for what follows.
// Whoever is expected to need more is shed on arrival, whoever was promised too
// much when its half is over.
//
// The limit adapts to how long the work takes (see pulse). It is safe for
// concurrent use.
type Limiter struct {
	options Options

	mu      sync.Mutex
	limit   int
	running [classes]int
	lines   [classes][]chan struct{} // in order; closing the channel hands over the place
	moved   [classes]time.Time       // when a place of the class last changed hands
	shed    [classes]uint64
	pulse   pulse
}

// Stats is a Limiter at one moment. What goes by class is indexed by it.
type Stats struct {
	Limit   int
	Running int
	Queued  [2]int
	Shed    [2]uint64 // so far
}

// New makes a Limiter.
func New(o Options) (*Limiter, error) {
	switch {
	case o.Min <= 0 || o.Initial < o.Min || o.Max < o.Initial:
		return nil, errors.New("admission: 0 < min <= initial <= max is required")
	case o.Queue <= 0 || o.Clock == nil:
		return nil, errors.New("admission: a queue over 0 and a clock are required")
	case o.Min < o.Max && o.Target <= 0:
		return nil, errors.New("admission: a limit that moves needs a target over 0")
	}
	return &Limiter{options: o, limit: o.Initial}, nil
}

// Enter waits for a place; each success must be followed by one call of leave. The
// error is ErrShed, or the context's. Class and deadline are those of the context's
// Work.
func (l *Limiter) Enter(ctx context.Context) (leave func(), err error) {
	work := workOf(ctx)
	turn, patience, err := l.arrive(work)
	if err != nil {
		return nil, err
	}
	if turn != nil {
		if err := l.wait(ctx, work.Class, turn, patience); err != nil {
			return nil, err
		}
	}
	began := l.options.Clock()
	if work.Late != nil && l.late(work, began) {
		work.Late()
	}
	return func() { l.leave(work.Class, began) }, nil
}

// Stats tells how things stand.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Limit: l.limit, Running: l.running[Unseen] + l.running[Known],
		Queued: [2]int{len(l.lines[Unseen]), len(l.lines[Known])}, Shed: l.shed,
	}
}

// forever is the patience of work that nobody waits for.
const forever = time.Hour

// arrive takes a place, where turn is nil, or stands in line.
func (l *Limiter) arrive(work Work) (turn chan struct{}, patience time.Duration, err error) {
	now, class := l.options.Clock(), work.Class
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free(class) && len(l.lines[class]) == 0 {
		l.take(class, now)
		return nil, 0, nil
	}
	l.pulse.wanted = true
	patience = forever
	if !work.Deadline.IsZero() {
		patience = work.Deadline.Sub(now) / 2
	}
	if len(l.lines[class]) >= l.options.Queue || l.expected(class, now) > patience {
		l.shed[class]++
		return nil, 0, fmt.Errorf("%w: no place is expected in time", ErrShed)
	}
	turn = make(chan struct{})
	l.lines[class] = append(l.lines[class], turn)
	return turn, patience, nil
}

// wait stands in line for the turn, and leaves the line when it gives up.
func (l *Limiter) wait(ctx context.Context, class Class, turn chan struct{}, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		l.abandon(class, turn, true)
		return fmt.Errorf("%w: no place became free in time", ErrShed)
	case <-ctx.Done():
		l.abandon(class, turn, false)
		return fmt.Errorf("waiting for a place: %w", ctx.Err())
	}
}

func (l *Limiter) abandon(class Class, turn chan struct{}, shed bool) {
	now := l.options.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if shed {
		l.shed[class]++
	}
	if i := slices.Index(l.lines[class], turn); i >= 0 {
		l.lines[class] = slices.Delete(l.lines[class], i, i+1)
		return
	}
	l.release(class, now) // the place came just as its taker left
}

func (l *Limiter) leave(class Class, began time.Time) {
	now := l.options.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.options.Min < l.options.Max {
		l.limit = l.pulse.adapt(l.options, l.limit, began, now)
	}
	l.pulse.measure(began, now)
	l.release(class, now)
}

// release gives a place up and hands over all that are free.
func (l *Limiter) release(class Class, now time.Time) {
	l.running[class]--
	l.moved[class] = now
	for _, next := range []Class{Known, Unseen} {
		for len(l.lines[next]) > 0 && l.free(next) {
			turn := l.lines[next][0]
			l.lines[next] = l.lines[next][1:]
			l.take(next, now)
			close(turn)
		}
	}
}

func (l *Limiter) take(class Class, now time.Time) {
	l.running[class]++
	l.moved[class] = now
}

func (l *Limiter) free(class Class) bool {
	return l.running[Unseen]+l.running[Known] < l.limit && (class == Known || l.running[Unseen] < l.places(Unseen))
}

// places is how many the class may have.
func (l *Limiter) places(class Class) int {
	if class == Unseen {
		return (l.limit + 1) / 2
	}
	return l.limit
}

// expected is how long an arrival that finds no place would wait for one or be
// served, whichever is longer. While no place changes hands, work takes at least as
// long as that: a store that hangs is noticed before its first answer.
func (l *Limiter) expected(class Class, now time.Time) time.Duration {
	moved, ahead := l.moved[Unseen], len(l.lines[Known])
	if class == Unseen {
		ahead += len(l.lines[Unseen])
	}
	if full := l.running[Unseen] >= l.places(Unseen); (class == Known || !full) && l.moved[Known].After(moved) {
		moved = l.moved[Known] // any place will do
	}
	service := max(l.pulse.usual(now), now.Sub(moved))
	return max(service, service*time.Duration(ahead+1)/time.Duration(l.places(class)))
}

func (l *Limiter) late(work Work, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !work.Deadline.IsZero() && l.pulse.usual(now) > work.Deadline.Sub(now)
}
