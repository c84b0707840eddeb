package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"postern/authz/admission"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
)

const (
	maxLeeway = 30 * time.Second
	maxTTL    = 10 * time.Second
	// maxTime is the largest time a token may name: the year 9999 ends there.
	maxTime = 253402300799
)

// Options bound a Verifier. Zero values take the defaults.
type Options struct {
	// CacheSize is how many verified tokens are kept, expired ones among them, about;
	// 8192 by default.
	CacheSize int
	// CacheTTL is how long, 10 s by default and at most.
	CacheTTL time.Duration
	// Clock tells the time; it must be set.
	Clock func() time.Time
	// Limiter bounds how many signatures are verified at once; nil: as many as there
	// are processors. Several verifiers may share one.
	Limiter *admission.Limiter
}

// Verifier verifies the tokens of one profile. It judges what a token says of
// itself: signature, issuer, audience, times. Whether it was withdrawn is for the
// store to say.
type Verifier struct {
	rules   []rule
	clock   func() time.Time
	ttl     time.Duration
	cache   *cache
	limiter *admission.Limiter
}

type rule struct {
	issuer *profile.Issuer
	name   identity.Issuer // the exact iss
	keys   Keys
	parser *jwt.Parser
}

// NewVerifier makes the verifier of a profile. ownIssuer and ring serve the issuer
// that is Postern's own, foreign has the keys of every other by its name. It
// refuses a rule that would leave issuer, audience, algorithm or leeway open.
func NewVerifier(p *profile.Profile, ownIssuer identity.Issuer, ring *KeyRing, foreign map[identity.Issuer]Keys, o Options) (*Verifier, error) {
	if o.Clock == nil {
		return nil, errors.New("making a token verifier: Clock must be set")
	}
	if o.CacheSize <= 0 {
		o.CacheSize = 8192
	}
	if o.CacheTTL <= 0 || o.CacheTTL > maxTTL {
		o.CacheTTL = maxTTL
	}
	if o.Limiter == nil {
		var err error
		if o.Limiter, err = NewLimiter(o.Clock); err != nil {
			return nil, err
		}
	}
	v := &Verifier{clock: o.Clock, ttl: o.CacheTTL, cache: newCache(o.CacheSize), limiter: o.Limiter}
	for i := range p.Issuers {
		issuer := &p.Issuers[i]
		r := rule{issuer: issuer, name: issuer.Name, keys: foreign[issuer.Name]}
		if issuer.Own {
			r.name, r.keys = ownIssuer, nil
			if ring != nil {
				r.keys = ringKeys{ring: ring, name: p.Name}
			}
		}
		if err := r.check(v.rules); err != nil {
			return nil, fmt.Errorf("making the token verifier of profile %q: issuer %q: %w", p.Name, r.name, err)
		}
		r.parser = newParser(&r, o.Clock)
		v.rules = append(v.rules, r)
	}
	return v, nil
}

func (r *rule) check(earlier []rule) error {
	known := []string{EdDSA, RS256, ES256}
	if r.issuer.Own {
		known = append(known, HS256)
	}
	switch {
	case r.name == "":
		return errors.New("it has no name; the exact iss must be known")
	case slices.ContainsFunc(earlier, func(other rule) bool { return other.name == r.name }):
		return errors.New("it is there twice; list its audiences in one entry")
	case r.keys == nil:
		return errors.New("its keys are not known; give a URL, a file, or signing keys")
	case len(r.issuer.Audiences) == 0 && len(r.issuer.AuthorizedParties) == 0:
		return errors.New("it has neither audiences nor authorized parties; one must be set")
	case slices.Contains(r.issuer.Audiences, "") || slices.Contains(r.issuer.AuthorizedParties, ""):
		return errors.New("an audience or authorized party is empty")
	case r.issuer.Leeway < 0 || r.issuer.Leeway > maxLeeway:
		return fmt.Errorf("its leeway must be between 0 and %s", maxLeeway)
	case len(r.issuer.Algorithms) == 0:
		return fmt.Errorf("it has no algorithms; allow some of %v", known)
	}
	for _, algorithm := range r.issuer.Algorithms {
		if !slices.Contains(known, algorithm) {
			return fmt.Errorf("algorithm %q is not one of %v", algorithm, known)
		}
	}
	return nil
}

func newParser(r *rule, clock func() time.Time) *jwt.Parser {
	options := []jwt.ParserOption{
		jwt.WithValidMethods(r.issuer.Algorithms),
		jwt.WithIssuer(string(r.name)),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(r.issuer.Leeway),
		jwt.WithTimeFunc(clock),
		jwt.WithStrictDecoding(),
	}
	if len(r.issuer.Audiences) > 0 {
		options = append(options, jwt.WithAudience(r.issuer.Audiences...))
	}
	return jwt.NewParser(options...)
}

// Cached answers from what was verified before, without blocking or allocating:
// claims never beyond the token's exp nor the cache's absolute time, and no claims
// with reason.Expired. It is false for what must be verified.
func (v *Verifier) Cached(digest identity.Digest, now time.Time) (*Claims, reason.Reason, bool) {
	claims, ok := v.cache.get(digest, now)
	if ok && claims == nil {
		return nil, reason.Expired, true
	}
	return claims, reason.Unset, ok
}

// Seen reports whether the token was verified before and is remembered, though it
// may have to be verified again. It decides about order only, never about access.
func (v *Verifier) Seen(digest identity.Digest) bool { return v.cache.has(digest) }

// Verify verifies a token whose digest is given. reason.Unset means valid; else it
// is MalformedCredential, InvalidCredential, Expired, Unavailable or Overloaded, and
// the error, where there is one, tells the private cause. It may block within the context, for an
// issuer's keys and then for its turn.
func (v *Verifier) Verify(ctx context.Context, raw string, digest identity.Digest) (*Claims, reason.Reason, error) {
	parts, err := takeApart(raw)
	if err != nil {
		return nil, reason.MalformedCredential, err
	}
	r := v.ruleOf(parts.issuer)
	if r == nil {
		return nil, reason.InvalidCredential, errors.New("the token's iss is none of the profile's issuers")
	}
	key, why, err := r.key(ctx, parts)
	if err != nil {
		return nil, why, fmt.Errorf("verifying a token of %q: %w", r.name, err)
	}
	leave, why, err := v.enter(ctx, digest)
	if err != nil {
		return nil, why, fmt.Errorf("verifying a token of %q: %w", r.name, err)
	}
	defer leave()
	if claims, why, ok := v.Cached(digest, v.clock()); ok { // another request with it was quicker
		return claims, why, nil
	}
	claims, why, err := r.verify(raw, key)
	now := v.clock()
	until := now.Add(v.ttl)
	if why == reason.Expired { // a client that does not notice sends it again and again
		v.cache.put(digest, nil, until)
	}
	if err != nil {
		return nil, why, fmt.Errorf("verifying a token of %q: %w", r.name, err)
	}
	if claims.ExpiresAt.Before(until) {
		until = claims.ExpiresAt
	}
	if now.Before(until) {
		v.cache.put(digest, claims, until)
	}
	return claims, reason.Unset, nil
}

func (v *Verifier) ruleOf(issuer string) *rule {
	for i := range v.rules {
		if string(v.rules[i].name) == issuer {
			return &v.rules[i]
		}
	}
	return nil
}

// key finds the key that the token's header names, where its algorithm is allowed.
func (r *rule) key(ctx context.Context, parts compact) (any, reason.Reason, error) {
	if !slices.Contains(r.issuer.Algorithms, parts.algorithm) {
		return nil, reason.InvalidCredential, errors.New("the token's alg is not allowed")
	}
	key, err := r.keys.Key(ctx, parts.keyID, parts.algorithm)
	if errors.Is(err, ErrUnknownKey) {
		return nil, reason.InvalidCredential, err
	}
	if err != nil {
		return nil, reason.Unavailable, err
	}
	return key, reason.Unset, nil
}

// verify verifies the signature, which costs some time of a processor, and the claims.
func (r *rule) verify(raw string, key any) (*Claims, reason.Reason, error) {
	body := jwt.MapClaims{}
	_, err := r.parser.ParseWithClaims(raw, body, func(*jwt.Token) (any, error) { return key, nil })
	if err != nil && !isOnlyExpired(err) {
		return nil, reason.InvalidCredential, err
	}
	if problem := r.checkBody(body); problem != nil {
		return nil, reason.InvalidCredential, problem
	}
	if err != nil {
		return nil, reason.Expired, err
	}
	claims, err := claimsOf(r.issuer, body)
	if err != nil {
		return nil, reason.InvalidCredential, err
	}
	claims.ExpiresAt = timeOf(body["exp"])
	claims.IssuedAt = timeOf(body["iat"])
	return claims, reason.Unset, nil
}

// checkBody checks what the library does not: the authorized party (OpenID
// Connect Core § 2), and that every time is one.
func (r *rule) checkBody(body jwt.MapClaims) error {
	if len(r.issuer.AuthorizedParties) > 0 {
		party, _ := body["azp"].(string)
		if !slices.Contains(r.issuer.AuthorizedParties, party) {
			return errors.New("the token's azp is not allowed")
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if seconds, present := body[name].(float64); present && (seconds < 0 || seconds > maxTime) {
			return fmt.Errorf("the token's %s is out of range", name)
		}
	}
	return nil
}

// isOnlyExpired reports an error for the expiry alone, of a token whose signature
// is good.
func isOnlyExpired(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenUnverifiable, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenRequiredClaimMissing,
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet,
		jwt.ErrInvalidType,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// timeOf reads a NumericDate (RFC 7519 § 2); zero where there is none.
func timeOf(value any) time.Time {
	seconds, ok := value.(float64)
	if !ok || seconds <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}
