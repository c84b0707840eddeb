package token

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	fetchTimeout   = 2 * time.Second
	refreshAge     = 5 * time.Minute  // of a set that is fetched anew
	unknownRefetch = 10 * time.Second // between fetches for the sake of unknown key ids
	failedRefetch  = time.Second      // between fetches while there is no set at all
	maxRedirects   = 3
	maxWaiting     = 256 // for one issuer's fetch
)

// JWKSURL fetches an issuer's keys by HTTP when they are first needed and again
// when they are five minutes old, or at once for a key id it does not know, at
// most every ten seconds. Many callers share one fetch, which is capped at two
// seconds and outlives a caller that leaves; of too many the last do not wait, so
// that an issuer that hangs holds up no other's tokens. An outage leaves the last good keys
// in force; it makes a key id that is not among them unavailable, not unknown.
type JWKSURL struct {
	url    string
	name   string // the URL without a password, for errors
	client http.Client
	clock  func() time.Time

	ctx    context.Context // of all fetches; ends with Close
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	set     keySet // nil: never fetched
	fetched time.Time
	tried   time.Time // the last fetch, good or bad
	forced  time.Time // the last fetch for an unknown key id
	problem error     // of the last fetch
	flight  chan struct{}
	waiting int // for the flight
}

// NewJWKSURL names an absolute http or https URL. The client's redirects are
// followed within the host only. Close ends its fetches.
func NewJWKSURL(address string, client *http.Client, clock func() time.Time) (*JWKSURL, error) {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, errors.New("making a key set from a URL: the address must be an absolute http or https URL")
	}
	if client == nil || clock == nil {
		return nil, errors.New("making a key set from a URL: client and clock must be set")
	}
	ctx, cancel := context.WithCancel(context.Background())
	j := &JWKSURL{url: address, name: parsed.Redacted(), client: *client, clock: clock, ctx: ctx, cancel: cancel}
	j.client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if next.URL.Host != parsed.Host || next.URL.Scheme != parsed.Scheme {
			return errors.New("a redirect to another host is not followed")
		}
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}
	return j, nil
}

// Close ends every fetch under way and waits for it. Keys that were fetched stay
// usable.
func (j *JWKSURL) Close() error {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.cancel()
	j.group.Wait()
	return nil
}

// Key finds a key (Keys).
func (j *JWKSURL) Key(ctx context.Context, keyID, algorithm string) (any, error) {
	key, flight, err := j.look(keyID, algorithm)
	if flight == nil {
		return key, err
	}
	defer j.left()
	select {
	case <-flight:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for the key set: %w", ErrUnavailable, ctx.Err())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.answer(keyID, algorithm)
}

func (j *JWKSURL) left() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waiting--
}

// look answers from the set there is, or names the fetch that is worth waiting for,
// and counts the caller among those that wait.
func (j *JWKSURL) look(keyID, algorithm string) (any, chan struct{}, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.clock()
	key, err := j.answer(keyID, algorithm)
	switch {
	case j.closed:
		return key, nil, err
	case j.set == nil:
		if j.flight == nil && !j.tried.IsZero() && now.Sub(j.tried) < failedRefetch {
			return nil, nil, err
		}
		return j.await(now)
	case err != nil:
		if j.flight == nil && !j.forced.IsZero() && now.Sub(j.forced) < unknownRefetch {
			return nil, nil, err
		}
		if j.flight == nil {
			j.forced = now
		}
		return j.await(now)
	case now.Sub(j.fetched) >= refreshAge && now.Sub(j.tried) >= unknownRefetch:
		j.fetch(now) // in the background: the key at hand is good
	}
	return key, nil, nil
}

func (j *JWKSURL) await(now time.Time) (any, chan struct{}, error) {
	if j.waiting >= maxWaiting {
		return nil, nil, fmt.Errorf("%w: too many wait for the key set %s", ErrUnavailable, j.name)
	}
	j.waiting++
	return nil, j.fetch(now), nil
}

func (j *JWKSURL) answer(keyID, algorithm string) (any, error) {
	if j.set == nil {
		if j.problem == nil {
			return nil, ErrUnavailable
		}
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, j.problem)
	}
	key, err := j.set.find(keyID, algorithm)
	if err != nil && j.problem != nil {
		return nil, fmt.Errorf("%w: the key is not in the last good set: %w", ErrUnavailable, j.problem)
	}
	return key, err
}

// fetch starts a fetch unless one is under way, and returns what closes when it
// is done. The caller holds the lock.
func (j *JWKSURL) fetch(now time.Time) chan struct{} {
	if j.flight != nil {
		return j.flight
	}
	flight := make(chan struct{})
	j.flight, j.tried = flight, now
	j.group.Go(func() {
		set, err := j.get()
		j.mu.Lock()
		defer j.mu.Unlock()
		if err != nil {
			j.problem = fmt.Errorf("fetching the key set %s: %w", j.name, err)
		} else {
			j.set, j.fetched, j.problem = set, now, nil
		}
		j.flight = nil
		close(flight)
	})
	return flight
}

func (j *JWKSURL) get() (set keySet, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("reading the key set failed unexpectedly")
		}
	}()
	ctx, cancel := context.WithTimeout(j.ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := j.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer has status %d", response.StatusCode)
	}
	document, err := readKeySet(response.Body)
	if err != nil {
		return nil, err
	}
	return parseKeySet(document)
}
