package token

import (
	"context"
	"errors"
	"runtime"
	"time"

	"postern/authz/admission"
	"postern/authz/identity"
	"postern/authz/reason"
)

// queue bounds the tokens that wait to be verified, of each class.
const queue = 1024

// NewLimiter bounds verifications to as many at once as there are processors, and
// those of tokens nobody has seen to half of that, so that a flood of forgeries
// leaves room for what is known and for what is cached.
func NewLimiter(clock func() time.Time) (*admission.Limiter, error) {
	places := runtime.GOMAXPROCS(0)
	return admission.New(admission.Options{Min: places, Initial: places, Max: places, Queue: queue, Clock: clock})
}

// enter waits for a turn. Keys were waited for before: who waits holds no place.
func (v *Verifier) enter(ctx context.Context, digest identity.Digest) (leave func(), why reason.Reason, err error) {
	if v.cache.has(digest) {
		ctx = admission.AsKnown(ctx)
	}
	leave, err = v.limiter.Enter(ctx)
	switch {
	case errors.Is(err, admission.ErrShed):
		return nil, reason.Overloaded, err
	case err != nil:
		return nil, reason.Unavailable, err
	}
	return leave, reason.Unset, nil
}
