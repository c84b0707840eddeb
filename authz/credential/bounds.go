package credential

import (
	"context"
	"fmt"
	"sync"
	"time"

	"postern/authz/identity"
)

// hashing admits slow hashes: so many at once, and those of proven secrets first.
type hashing struct {
	queue int

	mu     sync.Mutex
	free   int
	proven []chan struct{} // who waits, in order; closing the channel hands over the worker
	others []chan struct{}
}

func newHashing(workers, queue int) *hashing {
	return &hashing{queue: queue, free: workers}
}

// full reports whether a secret that is not proven would find no place.
func (h *hashing) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.others) >= h.queue
}

// acquire waits for a worker; each success must be followed by one release.
func (h *hashing) acquire(ctx context.Context, proven bool) error {
	h.mu.Lock()
	if h.free > 0 {
		h.free--
		h.mu.Unlock()
		return nil
	}
	line := &h.others
	if proven {
		line = &h.proven
	}
	if len(*line) >= h.queue {
		h.mu.Unlock()
		return ErrOverloaded
	}
	turn := make(chan struct{})
	*line = append(*line, turn)
	h.mu.Unlock()

	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		h.abandon(line, turn)
		return fmt.Errorf("waiting to verify a key: %w", ctx.Err())
	}
}

func (h *hashing) abandon(line *[]chan struct{}, turn chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, waiting := range *line {
		if waiting == turn {
			*line = append((*line)[:i], (*line)[i+1:]...)
			return
		}
	}
	h.handOver() // the worker came just as its taker left
}

func (h *hashing) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handOver()
}

func (h *hashing) handOver() {
	for _, line := range []*[]chan struct{}{&h.proven, &h.others} {
		if len(*line) > 0 {
			next := (*line)[0]
			*line = (*line)[1:]
			close(next)
			return
		}
	}
	h.free++
}

// turns lets one attempt at a key id proceed at a time, whether or not the id
// exists: what goes on at an id then tells nothing of it.
type turns struct {
	max int

	mu       sync.Mutex
	underWay int
	lines    map[identity.KeyID]*line
}

type line struct {
	turn    chan struct{} // holds a value while it is somebody's turn
	members int
}

// maxPerID bounds the attempts at one id, so that a flood at one leaves room for
// the others.
const maxPerID = 8

func newTurns(most int) *turns {
	return &turns{max: most, lines: make(map[identity.KeyID]*line)}
}

// begin waits for the id's turn and returns what ends it.
func (t *turns) begin(ctx context.Context, id identity.KeyID) (end func(), err error) {
	at, err := t.join(id)
	if err != nil {
		return nil, err
	}
	select {
	case at.turn <- struct{}{}:
		return func() { <-at.turn; t.leave(id, at) }, nil
	case <-ctx.Done():
		t.leave(id, at)
		return nil, fmt.Errorf("waiting to verify a key: %w", ctx.Err())
	}
}

func (t *turns) join(id identity.KeyID) (*line, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.lines[id]
	if t.underWay >= t.max || at != nil && at.members >= maxPerID {
		return nil, ErrOverloaded
	}
	if at == nil {
		at = &line{turn: make(chan struct{}, 1)}
		t.lines[id] = at
	}
	at.members++
	t.underWay++
	return at, nil
}

func (t *turns) leave(id identity.KeyID, at *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at.members--
	t.underWay--
	if at.members == 0 {
		delete(t.lines, id)
	}
}

// pace makes refusals wait until a multiple of the floor after their start. When
// a refusal took longer than one floor, those of the next while wait as long: a
// queue in front of the hashes delays unknown ids as it does wrong secrets.
type pace struct {
	floor time.Duration
	clock func() time.Time

	mu     sync.Mutex
	floors int // that refusals take at least
	until  time.Time
}

const paceMemory = 2 * time.Second

func newPace(floor time.Duration, clock func() time.Time) *pace {
	return &pace{floor: floor, clock: clock, floors: 1}
}

func (p *pace) wait(ctx context.Context, start time.Time) error {
	now := p.clock()
	remaining := start.Add(p.floor * time.Duration(p.measure(now, now.Sub(start)))).Sub(now)
	if remaining <= 0 {
		return nil
	}
	timer := time.NewTimer(remaining)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("refusing a key: %w", ctx.Err())
	}
}

// measure says how many floors a refusal takes that has taken so long already.
func (p *pace) measure(now time.Time, taken time.Duration) int {
	own := int((taken + p.floor - 1) / p.floor)
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.After(p.until) {
		p.floors = 1
	}
	if own >= p.floors && own > 1 {
		p.floors, p.until = own, now.Add(paceMemory)
	}
	return max(own, p.floors)
}

// proven remembers which raw key last proved right for an id, so that it need
// not stand in line with guesses. It decides about order only, never about
// access, and forgets the oldest half when it is full.
type proven struct {
	mu               sync.Mutex
	current, earlier map[identity.KeyID]identity.Digest
}

const maxProven = 4096 // in each of the two halves

func newProven() *proven {
	return &proven{current: make(map[identity.KeyID]identity.Digest)}
}

func (p *proven) has(id identity.KeyID, digest identity.Digest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.current[id]
	if !ok {
		if known, ok = p.earlier[id]; ok && known == digest {
			p.add(id, digest) // in use: keep it
		}
	}
	return ok && known == digest
}

func (p *proven) remember(id identity.KeyID, digest identity.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(id, digest)
}

func (p *proven) add(id identity.KeyID, digest identity.Digest) {
	if len(p.current) >= maxProven {
		p.earlier, p.current = p.current, make(map[identity.KeyID]identity.Digest)
	}
	p.current[id] = digest
}

func (p *proven) forget(id identity.KeyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.current, id)
	delete(p.earlier, id)
}
