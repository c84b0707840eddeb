package authz

import (
	"math"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/reason"
)

// overloaded denies without a look at the credential.
func (e *Engine) overloaded(in *Input, out *Decision) Verdict {
	out.Reset()
	c := check{engine: e, snapshot: e.snapshot.Load(), in: in, out: out}
	c.profile = c.snapshot.Profiles.Select(in.Profile, in.Host, c.snapshot.Default)
	return c.deny(reason.Overloaded)
}

// knows reports whether the request may have one of the last places: whether its
// credential was seen to be good, or it needs no look-up at all. It decides about
// order only, never about access.
func (e *Engine) knows(in *Input, out *Decision) (known bool) {
	defer func() {
		if recover() != nil {
			known = true // the checks meet the same panic, and report it
		}
	}()
	out.Reset()
	c := check{engine: e, snapshot: e.snapshot.Load(), now: e.options.Clock(), in: in, out: out}
	c.profile = c.snapshot.Profiles.Select(in.Profile, in.Host, c.snapshot.Default)
	if c.profile == nil || c.gate() != reason.Unset || c.route.Public || c.isPreflight() {
		return true
	}
	sources := c.route.Credentials
	if len(sources) == 0 {
		sources = c.profile.Credentials
	}
	var r reason.Reason
	if c.found, r = credential.Extract(sources, in.Headers); r != reason.Unset {
		return true
	}
	return c.seen()
}

// seen follows authenticate, without asking anybody.
func (c *check) seen() bool {
	raw, accept := c.found.Raw, c.found.Source.Accept
	digest := identity.DigestOf(raw)
	switch {
	case accept&credential.AdminKey != 0 && c.snapshot.isAdminKey(c.profile.Name, digest):
		return true
	case accept&credential.APIKey != 0 && c.profile.Keys != nil && c.profile.Keys.Valid(raw):
		_, presence := c.engine.ports.Keys.Stale(digest, c.now, math.MaxInt64)
		return presence == Found
	case accept&credential.Token != 0 && credential.LooksLikeToken(raw):
		tokens := c.snapshot.Tokens[c.profile.Name]
		return tokens == nil || tokens.Seen(digest)
	}
	return true // refused by its shape
}
