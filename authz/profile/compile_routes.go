package profile

import (
	"fmt"
	"slices"
	"strings"

	"postern/authz/identity"
)

// maxResources bounds the resources of one route.
const maxResources = 4

// routes compiles the routes, in the order they are written; one that cannot be
// read is left out.
func (c *compiler) routes() []*Route {
	organization := OrganizationRule{}
	if c.doc.Organization != nil {
		organization = c.organization("organization", *c.doc.Organization, nil)
	}
	c.profile.fallback = &Route{
		Credentials:    c.profile.Credentials,
		Organization:   organization,
		AllowPreflight: c.doc.Preflight,
	}
	var routes []*Route
	var paths []string
	for i, doc := range c.doc.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		route := c.route(path, doc)
		if route == nil {
			continue
		}
		for j, other := range routes {
			if conflict(route, other) {
				c.problem(path+".route", "%q and %q (line %d) match the same request and neither is the more specific; narrow one of them",
					doc.Route, other.Pattern, c.at(paths[j]+".route").line)
			}
		}
		if other := foldedSibling(routes, route); other != nil {
			c.problem(path+".route", "%q and %q differ in nothing but case, which an upstream may fold; spell them alike", doc.Route, other.Pattern)
		}
		routes, paths = append(routes, route), append(paths, path)
	}
	c.profile.router = newRouter(routes)
	return routes
}

func (c *compiler) route(path string, doc routeDoc) *Route {
	p, err := parsePattern(doc.Route)
	if err != nil {
		c.problem(path+".route", "%q %v", doc.Route, err)
		return nil
	}
	route := &Route{
		Pattern:        doc.Route,
		Method:         p.method,
		Public:         doc.Public,
		Permission:     doc.Permission,
		Cost:           identity.Credits(doc.Cost),
		Credentials:    c.profile.Credentials,
		Organization:   c.profile.fallback.Organization,
		AllowUpgrade:   doc.Upgrade,
		AllowPreflight: c.doc.Preflight,
		pattern:        p,
	}
	if doc.Preflight != nil {
		route.AllowPreflight = *doc.Preflight
		if p.method != "" && p.method != "OPTIONS" {
			c.problem(path+".preflight", "has no effect on %s, for a preflight is OPTIONS; write the route without a method", p.method)
		}
	}
	if doc.Public {
		c.public(path, doc, route)
		return route
	}
	if doc.Permission != "" {
		c.permission(path+".permission", doc.Permission)
	}
	if doc.Credentials != nil {
		route.Credentials = c.sources(path+".credentials", doc.Credentials)
	}
	if doc.Organization != nil {
		route.Organization = c.organization(path+".organization", *doc.Organization, &p)
	}
	route.Resources = c.resources(path, doc, &p)
	c.bound(path, doc, route)
	return route
}

// public checks a route that asks for nothing.
func (c *compiler) public(path string, doc routeDoc, route *Route) {
	route.Credentials, route.Organization = nil, OrganizationRule{From: OrgNone}
	for field, given := range map[string]bool{
		"permission": doc.Permission != "", "cost": doc.Cost != 0, "credentials": doc.Credentials != nil,
		"organization": doc.Organization != nil, "resource": doc.Resource != nil, "resources": doc.Resources != nil,
	} {
		if given {
			c.problem(path+"."+field, "has no effect on a public route; remove it, or public")
		}
	}
	if s := route.pattern.segments; len(s) > 0 && s[0].kind != literalSegment {
		c.problem(path+".route", "%q is public and begins with a variable, so it opens more than it says; begin it with a literal", doc.Route)
	}
}

// bound checks what makes sense only where an organization is known.
func (c *compiler) bound(path string, doc routeDoc, route *Route) {
	if doc.Cost < 0 || (doc.Cost == 0 && c.written(path+".cost")) {
		c.problem(path+".cost", "must be positive; leave it out where nothing is charged")
	}
	if route.Organization.From != OrgNone {
		return
	}
	if doc.Cost > 0 {
		c.problem(path+".cost", "has no organization to charge; bind the route to one")
	}
	if len(route.Resources) > 0 {
		c.problem(path+".resource", "has no organization to belong to; bind the route to one")
	}
}

func (c *compiler) written(path string) bool {
	_, ok := c.places[path]
	return ok
}

// organization compiles a binding; the pattern is nil for the profile as a whole.
func (c *compiler) organization(path string, doc organizationDoc, p *pattern) OrganizationRule {
	path += ".from"
	how, name, _ := strings.Cut(doc.From, " ")
	switch {
	case doc.From == "credential":
		return OrganizationRule{From: OrgFromCredential}
	case doc.From == "none":
		return OrganizationRule{From: OrgNone}
	case how == "header" && name != "":
		c.check(path, checkName(name))
		return OrganizationRule{From: OrgFromHeader, Name: name}
	case how == "path" && name != "":
		if p == nil {
			c.problem(path, "the path of a request has no variables but on a route; write it there")
		} else {
			c.variable(path, name, p)
		}
		return OrganizationRule{From: OrgFromPath, Name: name}
	}
	c.problem(path, "%q is unknown; use credential, none, header NAME or path VARIABLE", doc.From)
	return OrganizationRule{}
}

func (c *compiler) variable(path, name string, p *pattern) {
	if !p.hasVariable(name) {
		c.problem(path, "the route has no variable {%s}; add it to the path or correct the name", name)
	}
}

func (c *compiler) resources(path string, doc routeDoc, p *pattern) []ResourceRule {
	if doc.Resource != nil && doc.Resources != nil {
		c.problem(path+".resource", "is given beside resources; use one of them")
	}
	if len(doc.Resources) > maxResources {
		c.problem(path+".resources", "has more than %d entries; shorten the list", maxResources)
	}
	var rules []ResourceRule
	if doc.Resource != nil {
		rules = append(rules, c.resource(path+".resource", *doc.Resource, p))
	}
	for i, resource := range doc.Resources {
		rules = append(rules, c.resource(fmt.Sprintf("%s.resources[%d]", path, i), resource, p))
	}
	for i, rule := range rules {
		taken := func(o ResourceRule) bool { return o.Inject == rule.Inject }
		if rule.Inject != "" && slices.ContainsFunc(rules[:i], taken) {
			c.problem(path+".resources", "inject %q twice; use a header for each", rule.Inject)
		}
	}
	return rules
}

func (c *compiler) resource(path string, doc resourceDoc, p *pattern) ResourceRule {
	rule := ResourceRule{Kind: identity.ResourceKind(doc.Kind), Required: doc.Required, Inject: doc.Inject}
	if doc.Kind == "" {
		c.problem(path+".kind", "is missing; name the family of resources, such as project")
	}
	switch {
	case (doc.Slug == "") == (doc.ID == ""):
		c.problem(path, "must have exactly one of slug: query NAME and id: path VARIABLE")
	case doc.Slug != "":
		name, ok := strings.CutPrefix(doc.Slug, "query ")
		if !ok || !all(name, isVariableByte) || name == "" {
			c.problem(path+".slug", "%q must be written as query NAME, of letters, digits, _ and -", doc.Slug)
		}
		rule.Query = name
	default:
		name, ok := strings.CutPrefix(doc.ID, "path ")
		if ok {
			c.variable(path+".id", name, p)
		} else {
			c.problem(path+".id", "%q must be written as path VARIABLE", doc.ID)
		}
		if doc.Required {
			c.problem(path+".required", "has no effect on a path variable, which is always there; remove it")
		}
		rule.Path = name
	}
	if doc.Inject != "" {
		c.check(path+".inject", checkUpstreamName(doc.Inject))
		if slices.Contains(c.profile.Upstream.names(), doc.Inject) {
			c.problem(path+".inject", "%q already carries the identity; use another name", doc.Inject)
		}
	}
	return rule
}
