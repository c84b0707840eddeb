package authz

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"postern/authz/meter"
	"postern/authz/reason"
)

// releaseTimeout bounds giving a debit back after the caller's deadline has passed.
const releaseTimeout = 2 * time.Second

// reserve debits the route's cost, last of all: a denied request is never charged.
func (c *check) reserve() outcome {
	cost := c.route.Cost
	switch {
	case cost == 0:
		return pass
	case !c.blocking:
		return outcome{needIO: true}
	case c.ctx.Err() != nil:
		return outcome{reason: reason.Unavailable, cause: c.ctx.Err()}
	}
	ledger, org := c.engine.ports.Ledger, c.out.Principal.Org
	if c.in.DryRun {
		affords, err := ledger.Affords(c.ctx, org, cost)
		if err != nil {
			return outcome{reason: reason.Unavailable, cause: err}
		}
		if !affords {
			return denied(reason.InsufficientCredits)
		}
		return pass
	}
	return c.debit(ledger, meter.Reservation{
		Org: org, Key: c.out.Principal.Key, RequestID: c.requestID(),
		Cost: cost, Note: c.route.Pattern, At: c.now,
	})
}

// debit reserves and, where the caller's deadline passed meanwhile, gives back:
// the gateway has then denied the request already.
func (c *check) debit(ledger meter.Ledger, r meter.Reservation) outcome {
	_, charged, err := ledger.Reserve(c.ctx, r)
	switch {
	case errors.Is(err, meter.ErrInsufficient):
		return denied(reason.InsufficientCredits)
	case err != nil:
		return outcome{reason: reason.Unavailable, cause: err}
	}
	if err := c.ctx.Err(); err != nil {
		if charged {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), releaseTimeout)
			defer cancel()
			err = errors.Join(err, ledger.Release(ctx, r))
		}
		return outcome{reason: reason.Unavailable, cause: err}
	}
	if charged {
		c.out.Charged = r.Cost
	}
	return pass
}

// requestID is what a repeated request is recognized by: the client's own id
// where the profile trusts its upstream to honour it, else the gateway's.
func (c *check) requestID() string {
	if name := c.profile.RequestIDHeader; name != "" {
		if h := c.header(name); h.count == 1 && validRequestID(h.value) {
			return "client:" + string(c.out.Principal.Key) + ":" + h.value
		}
	}
	if c.in.ID != "" {
		return "gateway:" + c.in.ID
	}
	return "once:" + rand.Text()
}

func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := 0; i < len(id); i++ {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
