package admission

import "time"

// pulse is how long work takes, and what follows from it for the limit: additive
// increase, multiplicative decrease, as TCP finds the rate of a path.
//
// The judge is a fixed target and not a baseline that is learned, as in gradient
// limiters: callers have absolute deadlines, so what matters is not whether the
// store is slower than yesterday but whether it is too slow for them.
type pulse struct {
	mean   time.Duration // how long work takes, the latest with the most weight
	ended  time.Time     // when the last one ended
	start  time.Time     // of the window
	total  int           // what ended in the window
	slow   int           // of it, over the target
	wanted bool          // in the window somebody found no place
	cut    time.Time     // when the limit last shrank
}

const (
	// window is how often the limit may move.
	window = 100 * time.Millisecond
	// smoothing is the weight of one measurement in the mean, as 1 of so many.
	smoothing = 8
	// memory is how long a measurement tells something of the present.
	memory = 5 * time.Second
)

func (p *pulse) measure(began, now time.Time) {
	p.mean, p.ended = p.usual(now)+(now.Sub(began)-p.usual(now))/smoothing, now
}

// usual is how long work takes lately; 0 where nobody knows.
func (p *pulse) usual(now time.Time) time.Duration {
	if now.Sub(p.ended) > memory {
		return 0
	}
	return p.mean
}

// adapt counts one piece of work and returns the limit that follows. Where most of
// a window was slow the limit is halved; where nine in ten were not and somebody
// found no place, or it is below where it began, it grows by one. What began before
// the limit shrank says nothing of the present one.
func (p *pulse) adapt(o Options, limit int, began, now time.Time) int {
	if !began.Before(p.cut) {
		p.total++
		if now.Sub(began) > o.Target {
			p.slow++
		}
	}
	if p.total == 0 || now.Sub(p.start) < window {
		return limit
	}
	switch {
	case p.slow*2 > p.total:
		limit, p.cut = max(o.Min, limit/2), now
	case p.slow*10 <= p.total && (p.wanted || limit < o.Initial):
		limit = min(o.Max, limit+1)
	}
	p.start, p.total, p.slow, p.wanted = now, 0, 0, false
	return limit
}
