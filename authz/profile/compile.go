package profile

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/authz/credential"
	"postern/authz/identity"
)

// compiler turns one document into a Profile, and notes all that is wrong with it.
type compiler struct {
	doc      document
	places   map[string]place
	problems *Problems
	profile  *Profile
}

// compile makes the profile of a document. It is of use only if no problem was added.
func compile(t *tree, problems *Problems) *Profile {
	c := &compiler{places: map[string]place{}, problems: problems}
	d := decoder{places: c.places, problems: problems}
	d.decode(t, "", reflect.ValueOf(&c.doc).Elem())
	c.profile = &Profile{
		Name:         identity.ProfileName(c.doc.Profile),
		Description:  c.doc.Description,
		Hosts:        c.doc.Hosts,
		RequireHTTPS: c.doc.RequireHTTPS,
		Environment:  identity.Environment(c.doc.Environment),
		effective:    &expansion{},
	}
	c.hosts()
	c.keys()
	c.issuers()
	c.grants()
	c.adminKey()
	c.keyManagement()
	c.profile.Credentials = c.sources("credentials", c.doc.Credentials)
	c.requestID()
	c.outage()
	c.upstream()
	routes := c.routes()
	c.headers(routes)
	c.answers(routes)
	return c.profile
}

// problem notes what is wrong with a field; the place is that of the field, or
// where it is not written, of what it would be written in.
func (c *compiler) problem(path, format string, args ...any) {
	c.problems.add(c.at(path), path, format, args...)
}

func (c *compiler) at(path string) place {
	for {
		if at, ok := c.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// check notes the problem that a check found, if it found one.
func (c *compiler) check(path, problem string) bool {
	if problem != "" {
		c.problem(path, "%s", problem)
	}
	return problem == ""
}

func (c *compiler) hosts() {
	for i, host := range c.doc.Hosts {
		path := fmt.Sprintf("hosts[%d]", i)
		switch {
		case host == "" || len(host) > maxHost:
			c.problem(path, "must be a host name of 1 to %d bytes", maxHost)
		case strings.Contains(host, "*"):
			c.problem(path, "%q is a wildcard; list each host, for only an exact one is safe", host)
		case normalHost(host) != host:
			c.problem(path, "%q must be written as it is compared: %q", host, normalHost(host))
		case !isHost(host):
			c.problem(path, "%q is no host name; leave out the scheme and the path", host)
		case slices.Contains(c.doc.Hosts[:i], host):
			c.problem(path, "%q is listed twice; remove one", host)
		}
	}
}

func (c *compiler) keys() {
	doc := c.doc.APIKeys
	if doc == nil {
		return
	}
	rules := &KeyRules{MaxLifetime: c.duration("api_keys.max_lifetime", doc.MaxLifetime)}
	rules.Prefix, rules.Checksum = doc.Prefix, doc.Checksum
	switch doc.Layout {
	case "", "opaque":
		rules.Layout = credential.Opaque
		if doc.Prefix == "" {
			c.problem("api_keys.prefix", "is missing; give opaque keys a prefix, by which a leaked one is found")
		} else if len(doc.Prefix) > 32 || !all(doc.Prefix, isVariableByte) {
			c.problem("api_keys.prefix", "%q must be 1 to 32 letters, digits, _ and -", doc.Prefix)
		}
	case "pair":
		rules.Layout = credential.Pair
		if doc.Prefix != "" || doc.Checksum {
			c.problem("api_keys.layout", "pair has neither a prefix nor a checksum; remove them")
		}
	default:
		c.problem("api_keys.layout", "%q is unknown; use opaque or pair", doc.Layout)
	}
	switch doc.Hash {
	case "", "sha256":
		rules.Hash = credential.SHA256
	case "bcrypt":
		rules.Hash = credential.Bcrypt
		if doc.Layout != "pair" {
			c.problem("api_keys.hash", "bcrypt needs the id of a pair to find a key; use layout: pair or hash: sha256")
		}
	default:
		c.problem("api_keys.hash", "%q is unknown; use sha256 or bcrypt", doc.Hash)
	}
	c.profile.Keys = rules
}

// grants compiles roles and permissions.
func (c *compiler) grants() {
	for role, permissions := range c.doc.Roles {
		c.check("roles."+role, checkGrant(role))
		c.grantList("roles."+role, permissions)
		for i, permission := range permissions {
			if _, isRole := c.doc.Roles[permission]; isRole {
				c.problem(fmt.Sprintf("roles.%s[%d]", role, i), "%q is a role; list its permissions instead", permission)
			}
		}
	}
	c.profile.roles = c.doc.Roles
	for method, permission := range c.doc.Permissions {
		path := "permissions." + method
		index := methodIndex(method)
		if index == otherMethod {
			c.problem(path, "is not a method; use %s", strings.Join(methodNames[:], ", "))
			continue
		}
		if c.permission(path, permission) {
			c.profile.methods[index] = permission
		}
	}
	c.completeMethods()
}

// completeMethods lets HEAD and OPTIONS ask for what GET asks for, and refuses a
// table that forgets a method: no one should find an open door by PATCH.
func (c *compiler) completeMethods() {
	if len(c.doc.Permissions) == 0 {
		return
	}
	for i, method := range methodNames {
		if _, listed := c.doc.Permissions[method]; listed {
			continue
		}
		if method == "HEAD" || method == "OPTIONS" {
			c.profile.methods[i] = c.doc.Permissions["GET"]
			continue
		}
		c.problem("permissions", "%s is not listed, so any credential could %s; add it", method, method)
	}
}

// permission checks a permission that something asks for.
func (c *compiler) permission(path, permission string) bool {
	if _, isRole := c.doc.Roles[permission]; isRole {
		c.problem(path, "%q is a role; ask for a permission that it includes", permission)
		return false
	}
	return c.check(path, checkGrant(permission))
}

func (c *compiler) grantList(path string, names []string) {
	if len(names) > identity.MaxGrants {
		c.problem(path, "has more than %d entries; shorten the list", identity.MaxGrants)
	}
	for i, name := range names {
		c.check(path+"["+strconv.Itoa(i)+"]", checkGrant(name))
	}
}

// checkGrant says what is wrong with the name of a role or permission.
func checkGrant(name string) string {
	switch {
	case name == "":
		return "is empty; name a permission"
	case len(name) > identity.MaxGrantLength:
		return fmt.Sprintf("is longer than %d bytes; shorten it", identity.MaxGrantLength)
	case !all(name, func(b byte) bool { return '!' <= b && b <= '~' && b != ',' }):
		return "must be visible ASCII without a comma or a blank"
	}
	return ""
}

func (c *compiler) adminKey() {
	doc := c.doc.AdminKey
	if doc == nil {
		return
	}
	named := doc.Env != "" && (doc.Env[0] < '0' || doc.Env[0] > '9') && all(doc.Env, func(b byte) bool {
		return 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
	})
	if !named {
		c.problem("admin_key.env", "%q is no name of an environment variable; use upper-case letters, digits and _", doc.Env)
	}
	c.grantList("admin_key.permissions", doc.Permissions)
	c.profile.AdminKeyEnv = doc.Env
	c.profile.AdminGrants = identity.NewGrants(doc.Permissions...)
}

func (c *compiler) keyManagement() {
	doc := c.doc.KeyManagement
	if doc == nil {
		return
	}
	if c.doc.APIKeys == nil {
		c.problem("key_management", "needs api_keys; describe the keys it manages")
	}
	if doc.Organization == "" {
		c.problem("key_management.organization", "is missing; name the organization that new keys belong to")
	}
	if doc.MaxActive < 0 || doc.MaxActive > 1_000_000 {
		c.problem("key_management.max_active", "must be from 0 (no limit) to 1000000")
	}
	for i, role := range doc.Roles {
		if _, known := c.doc.Roles[role]; !known {
			c.problem(fmt.Sprintf("key_management.roles[%d]", i), "%q is not in roles; define it there", role)
		}
	}
	if doc.DefaultRole != "" && !slices.Contains(doc.Roles, doc.DefaultRole) {
		c.problem("key_management.default_role", "%q is not in key_management.roles; add it there", doc.DefaultRole)
	}
	c.profile.KeyManagement = &KeyManagement{
		Organization: identity.OrgSlug(doc.Organization),
		MaxActive:    int(doc.MaxActive),
		Roles:        doc.Roles,
		DefaultRole:  doc.DefaultRole,
	}
}

// maxStale bounds how old a record may be to decide by it.
const maxStale = 24 * time.Hour

// outage reads what to do when the store cannot be asked.
func (c *compiler) outage() {
	const path = "on_store_unavailable.serve_stale_for"
	c.profile.ServeStaleFor = c.duration(path, c.doc.OnOutage.ServeStaleFor)
	if c.profile.ServeStaleFor > maxStale {
		c.problem(path, "is longer than 24h; a revocation would wait as long")
	}
}

// duration reads a positive duration; an empty one is 0.
func (c *compiler) duration(path, text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		c.problem(path, "%q is no duration; write it as 30s, 15m or 8760h", text)
	}
	return d
}
