// Package load sends many different gRPC messages to one method over a few HTTP/2
// connections, as a proxy would, and says how long each took and whether it was
// allowed. It is light, so that it leaves the machine to the server, and it knows of
// Envoy's protocol only what tells an allow from a denial.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options say what is sent.
type Options struct {
	Address     string // host:port or unix:///path
	Method      string // the path of the gRPC method
	Connections int
	Streams     int     // in flight on each connection; of no meaning where there is a rate
	Rate        float64 // requests a second over all connections, whatever the answers take; 0: as fast as they come
	Requests    int
	// Message is the framed message of a request, and the class it is counted in. It
	// is called by several goroutines at once, for each index once.
	Message func(index int) (frame []byte, class int)
}

// Verdict is what the server said.
type Verdict uint8

// The verdicts. Failed is every answer that is no CheckResponse.
const (
	Failed Verdict = iota
	Allowed
	Denied
)

// Answer is one request's.
type Answer struct {
	At      time.Duration // since the start: when it was sent, or with a rate when it should have been
	Took    time.Duration // from then on
	Class   uint8
	Verdict Verdict
}

// Result is what came of a load, in no order.
type Result struct {
	Began   time.Time
	Elapsed time.Duration
	Answers []Answer
}

// Count is how many answers of the class had the verdict.
func (r Result) Count(class int, v Verdict) int {
	n := 0
	for _, a := range r.Answers {
		if int(a.Class) == class && a.Verdict == v {
			n++
		}
	}
	return n
}

// Took are the times of a class.
func (r Result) Took(class int) []time.Duration {
	var took []time.Duration
	for _, a := range r.Answers {
		if int(a.Class) == class {
			took = append(took, a.Took)
		}
	}
	return took
}

// patience is how long a load may go on without any answer.
const patience = 10 * time.Second

// run is what the connections of one load share.
type run struct {
	Options
	began    time.Time
	next     atomic.Int64 // index of the next request, where there is no rate
	answered atomic.Int64
	done     chan struct{} // closed when all are answered
	failed   chan error
}

// Send sends the load and waits for every answer. It fails where a connection does,
// or where no answer comes any more.
func Send(ctx context.Context, o Options) (Result, error) {
	if o.Connections < 1 || o.Requests < 1 || (o.Rate <= 0 && o.Streams < 1) {
		return Result{}, fmt.Errorf("load: %d requests over %d connections with %d streams each: set all of them to 1 or more", o.Requests, o.Connections, o.Streams)
	}
	r := &run{Options: o, done: make(chan struct{}), failed: make(chan error, 2*o.Connections)}
	var connections []*connection
	var readers sync.WaitGroup
	defer readers.Wait()
	defer func() {
		for _, c := range connections {
			_ = c.net.Close()
		}
	}()
	for i := range o.Connections {
		c, err := r.connect(ctx, i)
		if err != nil {
			return Result{}, err
		}
		connections = append(connections, c)
	}
	r.began = time.Now()
	for _, c := range connections {
		readers.Go(c.read)
		readers.Go(c.write)
	}
	if err := r.wait(ctx); err != nil {
		return Result{}, err
	}
	result := Result{Began: r.began, Elapsed: time.Since(r.began), Answers: make([]Answer, 0, o.Requests)}
	for _, c := range connections {
		result.Answers = append(result.Answers, c.answers()...)
	}
	return result, nil
}

func (r *run) wait(ctx context.Context) error {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for seen := int64(-1); ; {
		select {
		case <-r.done:
			return nil
		case err := <-r.failed:
			return fmt.Errorf("load: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if seen == r.answered.Load() {
				return fmt.Errorf("load: no answer for %v, %d of %d are there", patience, seen, r.Requests)
			}
			seen = r.answered.Load()
		}
	}
}

func (r *run) fail(err error) {
	select {
	case r.failed <- err:
	default: // there is one already
	}
}

// finish counts an answer.
func (r *run) finish() {
	if r.answered.Add(1) == int64(r.Requests) {
		close(r.done)
	}
}

var errGone = errors.New("the server ends the connection")
