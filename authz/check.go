package authz

import (
	"context"
	"time"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/authz/token"
)

// check is one pass over the checks, through either door.
type check struct {
	engine   *Engine
	snapshot *Snapshot
	ctx      context.Context
	blocking bool
	now      time.Time
	in       *Input
	out      *Decision

	profile *profile.Profile
	route   *profile.Route
	vars    profile.Vars
	query   string
	found   credential.Found
	claims  *token.Claims  // of a token; else nil
	user    *identity.User // of a token, where the store knows one; else nil
	// keep is the header whose credential the upstream may see; empty: none.
	keep string
	// injected are the resolved resources' headers.
	injected [maxResources]profile.Header
	nInject  int
}

// maxResources bounds the resources of one route.
const maxResources = 4

// run is the order of the checks. The first one that fails answers.
func (c *check) run() Verdict {
	c.profile = c.snapshot.Profiles.Select(c.in.Profile, c.in.Host, c.snapshot.Default)
	c.out.Profile = c.profile
	if c.profile == nil {
		return c.deny(reason.NoProfile)
	}
	if r := c.gate(); r != reason.Unset {
		return c.deny(r)
	}
	if c.route.Public || c.isPreflight() {
		c.out.Principal.Method = identity.MethodNone
		return c.allow(reason.Public)
	}
	sources := c.route.Credentials
	if len(sources) == 0 {
		sources = c.profile.Credentials
	}
	var r reason.Reason
	if c.found, r = credential.Extract(sources, c.in.Headers); r != reason.Unset {
		return c.deny(r)
	}
	if c.found.Source.Keep && c.found.Source.Place != credential.InCookie {
		c.keep = c.found.Source.Name
	}
	o := c.judge()
	switch {
	case o.needIO:
		return NeedIO
	case o.reason != reason.Unset:
		return c.fail(o.reason, o.cause)
	}
	return c.allow(reason.Allowed)
}

// judge runs the checks that follow the credential's extraction. Calls by name
// keep the check on the stack.
func (c *check) judge() outcome {
	if o := c.authenticate(); !o.passed() {
		return o
	}
	if o := c.organization(); !o.passed() {
		return o
	}
	if o := c.resources(); !o.passed() {
		return o
	}
	if o := c.permission(); !o.passed() {
		return o
	}
	return c.reserve()
}

// gate refuses what is not a request this profile can judge, and finds its route.
func (c *check) gate() reason.Reason {
	if !knownMethod(c.in.Method) {
		return reason.MethodNotAllowed
	}
	path, query, ok := splitPath(c.in.Path)
	if !ok {
		return reason.BadRequest
	}
	c.query = query
	if c.route, ok = c.profile.Match(c.in.Method, path, &c.vars); !ok {
		return reason.BadRequest
	}
	c.out.Route = c.route
	if c.profile.RequireHTTPS && !c.cameByHTTPS() {
		return reason.HTTPSRequired
	}
	if !c.route.AllowUpgrade && c.header("upgrade").count > 0 {
		return reason.BadRequest
	}
	return reason.Unset
}

// cameByHTTPS believes x-forwarded-proto, which an edge Envoy
// (use_remote_address) sets itself and no client can forge there.
func (c *check) cameByHTTPS() bool {
	h := c.header("x-forwarded-proto")
	return h.count == 1 && h.value == "https"
}

// isPreflight reports a CORS preflight (Fetch § 4.8) on a route that admits them.
func (c *check) isPreflight() bool {
	return c.route.AllowPreflight && c.in.Method == "OPTIONS" &&
		c.header("origin").count > 0 && c.header("access-control-request-method").count > 0
}

type received struct {
	value string // of the first
	count int
}

func (c *check) header(name string) received {
	var h received
	for i := range c.in.Headers {
		if c.in.Headers[i].Name == name {
			if h.count == 0 {
				h.value = c.in.Headers[i].Value
			}
			h.count++
		}
	}
	return h
}

// outcome is what one step found: nothing to object to, a denial, or that it
// cannot tell without blocking.
type outcome struct {
	reason reason.Reason
	cause  error
	needIO bool
}

var pass = outcome{}

func (o outcome) passed() bool { return o.reason == reason.Unset && !o.needIO }

func denied(r reason.Reason) outcome { return outcome{reason: r} }

// unknown turns the presences that are neither Found nor Absent into an outcome.
func unknown(p Presence, cause error) outcome {
	switch p {
	case Unknown:
		return outcome{needIO: true}
	case Busy:
		return outcome{reason: reason.Overloaded, cause: cause}
	}
	return outcome{reason: reason.Unavailable, cause: cause}
}

// lookup asks the cache, and where the door may block, the source behind it.
func lookup[K comparable, V any](c *check, source Source[K, V], key K) (V, Presence, error) {
	value, presence := source.Cached(key, c.now)
	if presence != Unknown || !c.blocking {
		return value, presence, nil
	}
	value, presence, err := source.Load(c.ctx, key)
	if presence != Unavailable && presence != Busy || c.profile.ServeStaleFor == 0 {
		return value, presence, err
	}
	if old, known := source.Stale(key, c.now, c.profile.ServeStaleFor); known != Unknown {
		c.out.Stale = true
		return old, known, nil
	}
	return value, presence, err
}

// permission asks whether the principal's grants cover the route.
func (c *check) permission() outcome {
	need := c.profile.Permission(c.route, c.in.Method)
	if !c.profile.Permits(c.out.Principal.Grants, need) {
		return denied(reason.Forbidden)
	}
	return pass
}
