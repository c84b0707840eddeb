package credential

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"postern/authz/identity"
)

// The errors of Authenticate, found with errors.Is. Anything else means that
// nothing is known of the key: its record could not be asked for or read, or the
// context ended.
var (
	// ErrNoKey: no such key, or not its secret. Which of the two is not told.
	ErrNoKey = errors.New("no such key")
	// ErrOverloaded: refused to protect the requests under way.
	ErrOverloaded = errors.New("too many keys are being verified")
	// ErrNoRecord is what Records answer for a key they do not have.
	ErrNoRecord = errors.New("no such record")
)

// Record is what is kept of a key.
type Record struct {
	Key  identity.Key
	Hash identity.Secret // in the form that VerifySecret reads
}

// Records finds the records of keys, revoked and expired ones too. ErrNoRecord
// says that there is none; any other error says that this is not known.
type Records interface {
	KeyByDigest(ctx context.Context, digest identity.Digest) (Record, error)
	KeyByID(ctx context.Context, id identity.KeyID) (Record, error)
}

// Options bound an Authenticator. Zero values take the defaults.
type Options struct {
	// Workers is how many slow hashes run at once; by default half of the
	// processors, at least one.
	Workers int
	// Queue is how many verifications may wait for a worker, 64 by default.
	// Secrets that proved right before have a queue of the same length to themselves.
	Queue int
	// FailureFloor is the time after which a wrong key of a Pair format is
	// refused, 60 ms by default. It should exceed the time of one slow hash.
	FailureFloor time.Duration
	// MaxWaiting is how many keys of Pair formats that are not proven yet may
	// be under way at once, those that wait out the floor included; 1024 by default.
	MaxWaiting int
	// Clock tells the time; it must be set.
	Clock func() time.Time
}

// Authenticator tells whose key was presented. It does not judge the key: a
// revoked or expired one is found like any other.
//
// Keys that are looked up by id are verified with a slow hash, which makes two
// promises necessary. Nobody can tell an unknown id from a wrong secret by time:
// both are refused at the same multiples of the failure floor, and attempts at one
// id, known or not, are taken one after the other. And wrong keys do not starve
// good ones: only an existing id is hashed for, at most Workers hashes run at
// once, and a secret that proved right before goes ahead of all that did not.
type Authenticator struct {
	records Records
	clock   func() time.Time
	hashing *hashing
	turns   *turns
	pace    *pace
	proven  *proven
}

// NewAuthenticator makes an Authenticator over the given records.
func NewAuthenticator(records Records, o Options) (*Authenticator, error) {
	if records == nil {
		return nil, errors.New("making an authenticator: records must be set")
	}
	if o.Clock == nil {
		return nil, errors.New("making an authenticator: Clock must be set")
	}
	if o.Workers <= 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if o.Queue <= 0 {
		o.Queue = 64
	}
	if o.FailureFloor <= 0 {
		o.FailureFloor = 60 * time.Millisecond
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 1024
	}
	return &Authenticator{
		records: records,
		clock:   o.Clock,
		hashing: newHashing(o.Workers, o.Queue),
		turns:   newTurns(o.MaxWaiting),
		pace:    newPace(o.FailureFloor, o.Clock),
		proven:  newProven(),
	}, nil
}

// Authenticate finds the record of a raw key and verifies the key against it.
// The errors are ErrNoKey, ErrOverloaded, the context's, or a failure to ask.
// The same key presented many times at once should be asked for once: that is
// for the caller's cache to see to.
func (a *Authenticator) Authenticate(ctx context.Context, format *Format, raw string) (*identity.Key, error) {
	if !format.Valid(raw) {
		return nil, ErrNoKey
	}
	if format.Layout == Pair && format.Hash == Bcrypt {
		return a.byID(ctx, format, raw)
	}
	return a.byDigest(ctx, raw)
}

// byDigest needs no care for its timing: whoever can find a digest has the key.
func (a *Authenticator) byDigest(ctx context.Context, raw string) (*identity.Key, error) {
	digest := identity.DigestOf(raw)
	record, err := a.records.KeyByDigest(ctx, digest)
	if err != nil {
		return nil, refusal(err)
	}
	right, err := a.verify(ctx, record.Hash, raw, false)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, ErrNoKey
	}
	return &record.Key, nil
}

func (a *Authenticator) byID(ctx context.Context, format *Format, raw string) (*identity.Key, error) {
	id, secret, ok := format.Split(raw)
	if !ok {
		return nil, ErrNoKey
	}
	digest := identity.DigestOf(raw)
	if a.proven.has(id, digest) {
		// Whoever showed the right secret before need not stand in line with guesses.
		start := a.clock()
		key, err := a.look(ctx, id, secret, true)
		if !errors.Is(err, ErrNoKey) {
			return key, err
		}
		a.proven.forget(id)
		return nil, a.refuse(ctx, start)
	}
	end, err := a.turns.begin(ctx, id)
	if err != nil {
		return nil, err
	}
	defer end()
	start := a.clock()
	if a.hashing.full() {
		return nil, ErrOverloaded // before the look-up, so that it tells nothing of the id
	}
	key, err := a.look(ctx, id, secret, false)
	if errors.Is(err, ErrNoKey) {
		return nil, a.refuse(ctx, start)
	}
	if err != nil {
		return nil, err
	}
	a.proven.remember(id, digest)
	return key, nil
}

func (a *Authenticator) look(ctx context.Context, id identity.KeyID, secret string, proven bool) (*identity.Key, error) {
	record, err := a.records.KeyByID(ctx, id)
	if err != nil {
		return nil, refusal(err)
	}
	right, err := a.verify(ctx, record.Hash, secret, proven)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, ErrNoKey
	}
	return &record.Key, nil
}

func (a *Authenticator) verify(ctx context.Context, hash identity.Secret, presented string, proven bool) (bool, error) {
	if !isSlow(hash) {
		return VerifySecret(hash, presented)
	}
	if err := a.hashing.acquire(ctx, proven); err != nil {
		return false, err
	}
	defer a.hashing.release()
	return VerifySecret(hash, presented)
}

// refuse answers ErrNoKey when its time has come.
func (a *Authenticator) refuse(ctx context.Context, start time.Time) error {
	if err := a.pace.wait(ctx, start); err != nil {
		return err
	}
	return ErrNoKey
}

func refusal(err error) error {
	if errors.Is(err, ErrNoRecord) {
		return ErrNoKey
	}
	return fmt.Errorf("looking up a key: %w", err)
}
