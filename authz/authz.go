// Package authz decides requests: the ordered checks of one ext_authz Check,
// pure but for its ports. It knows no gRPC, SQL or Redis, and no transport type;
// the same core serves any front that can say method, path, host and headers.
package authz

import (
	"context"
	"strings"
	"time"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
)

// Field is a received header field.
type Field = credential.Field

// Input is one request as the gateway received it. Its strings may be views of
// memory the caller reuses: Decide does not keep them.
type Input struct {
	// Profile is the profile the gateway's configuration names; empty: none named.
	Profile string
	// ID identifies the request at the gateway; clients cannot choose it.
	ID     string
	Method string
	// Path is the raw request target with its query, as the upstream will get it.
	Path string
	// Host is the raw Host or :authority.
	Host string
	// Headers are the received fields: all of them, or at least the ones the
	// profile declares and every name that collides with a protected one.
	Headers []Field
	// Stripped says that the gateway has taken every protected name from the request,
	// but for those in Headers, so that no other needs to be removed.
	Stripped bool
	// At is when the request arrived, by the engine's clock, which Decide then need
	// not read; zero: not known.
	At time.Time
	// DryRun explains without effect: nothing is debited.
	DryRun bool
}

// OwnedInput is an Input whose memory nobody reuses.
type OwnedInput struct{ in Input }

// Own copies the input, so that it outlives the caller's buffers.
func (in *Input) Own() OwnedInput {
	own := *in
	own.Profile = strings.Clone(in.Profile)
	own.ID = strings.Clone(in.ID)
	own.Method = strings.Clone(in.Method)
	own.Path = strings.Clone(in.Path)
	own.Host = strings.Clone(in.Host)
	own.Headers = make([]Field, len(in.Headers))
	for i, f := range in.Headers {
		own.Headers[i] = Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)}
	}
	return OwnedInput{in: own}
}

// Input is the input as Decide takes it.
func (own *OwnedInput) Input() *Input { return &own.in }

// Verdict is the outcome of a door of the engine.
type Verdict uint8

// The verdicts. The zero value is not one, so that it cannot be taken for an allow.
const (
	_ Verdict = iota
	// Deny: the Decision's Answer goes to the client.
	Deny
	// Allow: the Decision's Set and Remove go to the upstream's request.
	Allow
	// NeedIO: Decide could not tell without blocking; ask Resolve.
	NeedIO
)

// Principal is who a request was decided to be from.
type Principal struct {
	Method  identity.Method
	Org     identity.OrgID
	OrgSlug identity.OrgSlug
	Plan    string
	User    identity.UserID
	Key     identity.KeyID
	Token   identity.TokenID
	Grants  identity.Grants
}

// Decision is the answer to one Input. The caller owns it and may reuse it: each
// door resets it first and keeps the slices' memory. Its strings may be views of
// the Input, or of memory of its own, and are valid as long as those.
type Decision struct {
	Reason    reason.Reason
	Profile   *profile.Profile // nil: none was found
	Route     *profile.Route   // nil: not reached
	Principal Principal
	// Answer is what the client gets of a denial; nil for an allow.
	Answer *profile.Answer
	// Set are the headers to overwrite, Remove the names to delete upstream.
	Set    []profile.Header
	Remove []string
	// Cost was charged by this decision: 0 where none was, or where the same
	// request had been charged before.
	Charged identity.Credits
	// Stale says that the store could not be asked, and that an older record than
	// usual was decided by, as the profile allows.
	Stale bool
	// Cause is the private reason behind Internal or Unavailable, for the log only.
	Cause error

	cookies []byte // the Cookie header that is set
}

// Reset forgets the decision and keeps its memory.
func (d *Decision) Reset() {
	clear(d.Set)
	clear(d.Remove)
	*d = Decision{Set: d.Set[:0], Remove: d.Remove[:0], cookies: d.cookies[:0]}
}

// Presence says what is known of a record. What could not be asked is never
// taken for absent.
type Presence uint8

// The states of knowledge.
const (
	// Unknown: not cached; Load can tell.
	Unknown Presence = iota
	// Found: the record is there.
	Found
	// Absent: there is no such record.
	Absent
	// Unavailable: it could not be asked.
	Unavailable
	// Busy: it was not asked, to protect what is under way.
	Busy
)

// Source tells what is known of one family of records. Records are shared and
// must not be changed.
type Source[K comparable, V any] interface {
	// Cached never blocks and answers Found, Absent or Unknown.
	Cached(key K, now time.Time) (V, Presence)
	// Load may block up to the context's deadline and answers Found, Absent,
	// Unavailable or Busy, the last two with the cause.
	Load(ctx context.Context, key K) (V, Presence, error)
	// Stale never blocks and answers from what was loaded within the age, for when
	// nothing can be asked: Found, Absent or Unknown. What is known to have changed
	// since is Unknown.
	Stale(key K, now time.Time, age time.Duration) (V, Presence)
}

// Keys tells whose an API key is. A key is handed out by value: caches keep keys in
// less memory than they take here.
type Keys interface {
	// Cached never blocks and answers Found, Absent or Unknown.
	Cached(digest identity.Digest, now time.Time) (identity.Key, Presence)
	// Load authenticates the raw key, which has the format's shape: Absent where
	// no record has it. It answers like Source.Load.
	Load(ctx context.Context, format *credential.Format, raw string, digest identity.Digest) (identity.Key, Presence, error)
	// Stale answers like Source.Stale.
	Stale(digest identity.Digest, now time.Time, age time.Duration) (identity.Key, Presence)
}
