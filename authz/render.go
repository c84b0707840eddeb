package authz

import (
	"errors"
	"unsafe"

	"postern/authz/credential"
	"postern/authz/profile"
	"postern/authz/reason"
)

// allow is the one maker of an allow. Whatever the route, every identity header
// is set or removed, so that an upstream can trust what it sees.
func (c *check) allow(r reason.Reason) Verdict {
	out, p, names := c.out, &c.out.Principal, &c.profile.Upstream
	c.set(names.OrgID, string(p.Org))
	c.set(names.OrgSlug, string(p.OrgSlug))
	c.set(names.UserID, string(p.User))
	c.set(names.KeyID, string(p.Key))
	if r == reason.Allowed {
		c.set(names.Permissions, c.profile.Effective(p.Grants))
		c.set(names.Method, string(p.Method))
	}
	for _, h := range c.injected[:c.nInject] {
		c.set(h.Name, h.Value)
	}
	c.stripCookies()
	for _, h := range out.Set {
		if !visible(h.Value) {
			return c.fail(reason.Internal, errors.New("the value of "+h.Name+" is no header value"))
		}
	}
	c.remove()
	out.Reason, out.Answer = r, nil
	return Allow
}

// deny is the one maker of a denial.
func (c *check) deny(r reason.Reason) Verdict { return c.fail(r, nil) }

// fail denies and keeps the private cause for the log.
func (c *check) fail(r reason.Reason, cause error) Verdict {
	out := c.out
	out.Set, out.Remove = out.Set[:0], out.Remove[:0]
	out.Reason, out.Cause, out.Charged = r, cause, 0
	if c.profile == nil {
		out.Answer = profile.Closed(r)
	} else {
		out.Answer = c.profile.Answer(c.route, r)
	}
	return Deny
}

func (c *check) set(name, value string) {
	if name != "" && value != "" {
		c.out.Set = append(c.out.Set, profile.Header{Name: name, Value: value})
	}
}

// remove lists every protected name that is not set, or where the gateway has
// stripped them what it left of them, and every received name that an upstream may
// read as a protected one.
func (c *check) remove() {
	for _, name := range c.profile.Upstream.Protected {
		if name != c.keep && !c.isSet(name) && (!c.in.Stripped || c.received(name)) {
			c.out.Remove = append(c.out.Remove, name)
		}
	}
	for i := range c.in.Headers {
		if name := c.in.Headers[i].Name; c.isAlias(name) {
			c.out.Remove = append(c.out.Remove, name)
		}
	}
}

func (c *check) received(name string) bool {
	for i := range c.in.Headers {
		if c.in.Headers[i].Name == name {
			return true
		}
	}
	return false
}

func (c *check) isSet(name string) bool {
	for i := range c.out.Set {
		if c.out.Set[i].Name == name {
			return true
		}
	}
	return false
}

// maxAlias bounds a name worth comparing; protected names are far shorter.
const maxAlias = 128

// plain are the bytes of a name that stand for themselves wherever they are, hyphen
// the one that does between two of those; 0 for all others.
var plain = func() (kinds [256]byte) {
	for c := range kinds {
		switch {
		case c == '-':
			kinds[c] = hyphen
		case c != '_' && c != '.' && (c < 'A' || c > 'Z'):
			kinds[c] = itself
		}
	}
	return kinds
}()

const (
	itself = 1
	hyphen = 2
)

// isPlain reports a name that no server folds into another one. Nearly every name
// is, so it is told apart quickly.
func isPlain(name string) bool {
	before := byte(hyphen)
	for i := 0; i < len(name); i++ {
		kind := plain[name[i]]
		if kind == 0 || kind&before&hyphen != 0 {
			return false
		}
		before = kind
	}
	return before == itself
}

// isAlias reports a name that some server folds into a protected one: runs of
// "_", "." and "-" count as one "-", and none at the ends.
func (c *check) isAlias(name string) bool {
	if isPlain(name) {
		return false
	}
	var folded [maxAlias]byte
	n, gap := 0, false
	for i := 0; i < len(name); i++ {
		b := name[i]
		switch {
		case b == '_' || b == '.' || b == '-':
			gap = true
			continue
		case 'A' <= b && b <= 'Z':
			b += 'a' - 'A'
		}
		if gap && n > 0 {
			folded[n] = '-'
			n++
		}
		if gap = false; n >= maxAlias-1 {
			return false
		}
		folded[n] = b
		n++
	}
	for _, protected := range c.profile.Upstream.Protected {
		if string(folded[:n]) == protected {
			return true
		}
	}
	return false
}

// stripCookies takes the profile's credential cookies out of the Cookie header
// and leaves the others.
func (c *check) stripCookies() {
	names, found := c.profile.Upstream.Cookies, false
	if len(names) == 0 {
		return
	}
	kept := c.out.cookies[:0]
	for i := range c.in.Headers {
		if c.in.Headers[i].Name == "cookie" {
			var here bool
			kept, here = credential.AppendCookies(kept, c.in.Headers[i].Value, names)
			found = found || here
		}
	}
	c.out.cookies = kept
	switch {
	case !found:
	case len(kept) == 0:
		c.out.Remove = append(c.out.Remove, "cookie")
	default:
		rest := unsafe.String(unsafe.SliceData(kept), len(kept))
		c.out.Set = append(c.out.Set, profile.Header{Name: "cookie", Value: rest})
	}
}

// visible reports whether a value may stand in a header as it is: visible ASCII,
// with blanks between, so that it can neither split a response nor be misread.
func visible(value string) bool {
	for i := 0; i < len(value); i++ {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}
