package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"

	"postern/store"
)

// settleTimeout bounds a transaction of debits, the wait for its lock included.
const settleTimeout = 2 * busyTimeout

// debits are the reservations that wait for the writer. Those that wait at the same
// time are charged one after the other in one transaction, because what takes long
// is to flush it to the disk.
type debits struct {
	mu      sync.Mutex
	waiting []*debit
	writing bool
}

type debit struct {
	store.Reservation
	outcome outcome
	err     error
	done    chan struct{}
}

// charge has the reservation written. Until it is its turn it may be given up; from
// then on its outcome is waited for, as what was charged must be known, so that it
// can be given back.
func (s *Store) charge(ctx context.Context, r store.Reservation) (outcome, error) {
	d := &debit{Reservation: r, done: make(chan struct{})}
	if s.debits.add(d) {
		go s.writeDebits()
	}
	select {
	case <-d.done:
	case <-ctx.Done():
		if s.debits.withdraw(d) {
			return outcome{}, ctx.Err()
		}
		<-d.done
	}
	return d.outcome, d.err
}

// writeDebits writes until none waits.
func (s *Store) writeDebits() {
	for s.debits.more() {
		s.writeTogether()
	}
}

func (s *Store) writeTogether() {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	var together []*debit
	_, err := transact(ctx, s.writes, func(tx *transaction) (none struct{}, err error) {
		together = s.debits.take() // the lock is held, and more may have come meanwhile
		for _, d := range together {
			if err := d.write(ctx, tx); err != nil {
				return none, err
			}
		}
		return none, nil
	})
	switch {
	case err != nil && together == nil:
		together = s.debits.take()
		fallthrough
	case err != nil && len(together) == 1:
		for _, d := range together {
			d.outcome, d.err = outcome{}, err
		}
	case err != nil: // nothing is written: whatever it was must not concern the others
		for _, d := range together {
			d.outcome, d.err = transact(ctx, s.writes, func(tx *transaction) (outcome, error) { return reserve(ctx, tx, d.Reservation) })
		}
	}
	for _, d := range together {
		close(d.done)
	}
}

// write fails if the transaction cannot go on. A debit that is refused has changed nothing.
func (d *debit) write(ctx context.Context, tx *transaction) error {
	d.outcome, d.err = reserve(ctx, tx, d.Reservation)
	if errors.Is(d.err, store.ErrInsufficient) || errors.Is(d.err, sql.ErrNoRows) {
		return nil
	}
	return d.err
}

// add reports whether a writer must be started.
func (q *debits) add(d *debit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, d)
	start := !q.writing
	q.writing = true
	return start
}

// more reports whether any waits; without one the writer ends.
func (q *debits) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing = len(q.waiting) > 0
	return q.writing
}

func (q *debits) take() []*debit {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.waiting
	q.waiting = nil
	return taken
}

// withdraw reports whether the debit still waited; then it is not written.
func (q *debits) withdraw(d *debit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, d)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}
