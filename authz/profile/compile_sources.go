package profile

import (
	"fmt"
	"slices"
	"strings"

	"postern/authz/credential"
)

// sources compiles an ordered list of credential sources.
func (c *compiler) sources(path string, docs []credentialDoc) []credential.Source {
	if len(docs) == 0 {
		c.problem(path, "is empty, so no request could pass; list where the credential is")
	}
	var sources []credential.Source
	for i, doc := range docs {
		item := fmt.Sprintf("%s[%d]", path, i)
		s, ok := c.source(item, doc)
		if !ok {
			continue
		}
		if slices.ContainsFunc(sources, func(o credential.Source) bool { return o.Place == s.Place && o.Name == s.Name }) {
			c.problem(item, "is the same place as an earlier entry, which decides; make one entry with a list of kinds")
		}
		sources = append(sources, s)
	}
	return sources
}

func (c *compiler) source(path string, doc credentialDoc) (credential.Source, bool) {
	s := credential.Source{Keep: doc.Keep}
	given := 0
	as := doc.As
	if len(doc.Bearer) > 0 {
		given++
		s.Place, s.Name = credential.InBearer, "authorization"
		if len(doc.As) > 0 {
			c.problem(path+".as", "belongs to header or cookie; write bearer: %s", strings.Join(doc.As, ", "))
		}
		as = doc.Bearer
	}
	if doc.Header != "" {
		given++
		s.Place, s.Name = credential.InHeader, doc.Header
		c.check(path+".header", checkName(doc.Header))
		if doc.Header == "authorization" {
			c.problem(path+".header", "authorization carries a scheme; use bearer")
		}
	}
	if doc.Cookie != "" {
		given++
		s.Place, s.Name = credential.InCookie, doc.Cookie
		if !all(doc.Cookie, isCookieByte) {
			c.problem(path+".cookie", "%q is no cookie name; use letters, digits, _, - and .", doc.Cookie)
		}
	}
	if given != 1 {
		c.problem(path, "must have exactly one of bearer, header and cookie")
		return s, false
	}
	s.Accept = c.accept(path, as)
	return s, true
}

func isCookieByte(b byte) bool { return isVariableByte(b) || b == '.' }

// accept compiles the kinds of a source, each of which the profile must describe.
func (c *compiler) accept(path string, as kinds) credential.Kind {
	var accept credential.Kind
	if len(as) == 0 {
		c.problem(path+".as", "is missing; say how it is read: api_key, token or admin_key")
	}
	for _, kind := range as {
		switch kind {
		case "api_key":
			accept |= credential.APIKey
			if c.doc.APIKeys == nil {
				c.problem(path, "reads an api_key, but there is no api_keys; describe the keys there")
			}
		case "token":
			accept |= credential.Token
			if len(c.doc.Tokens) == 0 {
				c.problem(path, "reads a token, but there is no tokens; list the issuers there")
			}
		case "admin_key":
			accept |= credential.AdminKey
			if c.doc.AdminKey == nil {
				c.problem(path, "reads an admin_key, but there is no admin_key; describe it there")
			}
		default:
			c.problem(path, "has the unknown kind %q; use api_key, token or admin_key", kind)
		}
	}
	return accept
}

func (c *compiler) requestID() {
	if c.doc.RequestID == "" {
		return
	}
	name, ok := strings.CutPrefix(c.doc.RequestID, "header ")
	if !ok {
		c.problem("request_id", "%q must be written as header NAME", c.doc.RequestID)
		return
	}
	c.check("request_id", checkName(name))
	c.profile.RequestIDHeader = name
}

// upstream compiles the names of the identity headers.
func (c *compiler) upstream() {
	doc := c.doc.Upstream
	if doc == nil {
		doc = &upstreamDoc{}
	}
	u := &c.profile.Upstream
	*u = defaultUpstream
	taken := map[string]string{}
	for _, name := range []struct {
		field   string
		written *string
		into    *string
	}{
		{"org_id", doc.OrgID, &u.OrgID},
		{"org_slug", doc.OrgSlug, &u.OrgSlug},
		{"user_id", doc.UserID, &u.UserID},
		{"key_id", doc.KeyID, &u.KeyID},
		{"permissions", doc.Permissions, &u.Permissions},
		{"auth_method", doc.AuthMethod, &u.Method},
	} {
		if name.written != nil {
			*name.into = *name.written
		}
		path := "upstream." + name.field
		if *name.into == "" || !c.check(path, checkUpstreamName(*name.into)) {
			continue
		}
		if other := taken[*name.into]; other != "" {
			c.problem(path, "%q also carries %s; use a name for each", *name.into, other)
		}
		taken[*name.into] = name.field
	}
}

// defaultUpstream are the names unless a profile gives others. They stay
// protected even then, for an upstream may still believe them.
var defaultUpstream = Upstream{
	OrgID: "x-org-id", OrgSlug: "x-org-slug", UserID: "x-user-id", KeyID: "x-key-id",
	Permissions: "x-permissions", Method: "x-auth-method",
}

func (u Upstream) names() []string {
	return []string{u.OrgID, u.OrgSlug, u.UserID, u.KeyID, u.Permissions, u.Method}
}

// headers lists what a decision reads and what a client must not set.
func (c *compiler) headers(routes []*Route) {
	p := c.profile
	declared := append([]string{p.RequestIDHeader}, alwaysDeclared...)
	protected := slices.Concat(alwaysProtected, defaultUpstream.names(), p.Upstream.names())
	var cookies, kept, secrets []string
	for _, route := range append(slices.Clip(routes), p.fallback) {
		if route.Organization.From == OrgFromHeader {
			declared = append(declared, route.Organization.Name)
		}
		for _, s := range route.Credentials {
			switch {
			case s.Place != credential.InCookie:
				secrets = append(secrets, s.Name)
			case s.Keep:
				kept = append(kept, s.Name)
				declared = append(declared, "cookie")
			default:
				cookies = append(cookies, s.Name)
				declared = append(declared, "cookie")
			}
		}
		for _, resource := range route.Resources {
			protected = append(protected, resource.Inject)
		}
	}
	for path, name := range c.setNames() {
		if slices.Contains(secrets, name) {
			c.problem(path, "%q is where a credential is read; use another name", name)
		}
	}
	p.Declared = sortedSet(append(declared, secrets...)...)
	p.Upstream.Protected = sortedSet(append(protected, secrets...)...)
	p.Upstream.Cookies = slices.DeleteFunc(sortedSet(cookies...), func(name string) bool { return slices.Contains(kept, name) })
}

// setNames are the headers the profile sets, by the field that names them.
func (c *compiler) setNames() map[string]string {
	u := c.profile.Upstream
	names := map[string]string{
		"upstream.org_id": u.OrgID, "upstream.org_slug": u.OrgSlug, "upstream.user_id": u.UserID,
		"upstream.key_id": u.KeyID, "upstream.permissions": u.Permissions, "upstream.auth_method": u.Method,
	}
	for i, doc := range c.doc.Routes {
		if doc.Resource != nil {
			names[fmt.Sprintf("routes[%d].resource.inject", i)] = doc.Resource.Inject
		}
		for j, resource := range doc.Resources {
			names[fmt.Sprintf("routes[%d].resources[%d].inject", i, j)] = resource.Inject
		}
	}
	return names
}
