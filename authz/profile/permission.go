package profile

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"postern/authz/identity"
)

// maxPermissions bounds the header that Effective makes, in bytes.
const maxPermissions = 4096

// Permission is what a request on the route asks for: the route's own permission,
// else the method's; empty: none.
func (p *Profile) Permission(route *Route, method string) string {
	if route.Public {
		return ""
	}
	if route.Permission != "" {
		return route.Permission
	}
	return p.methods[methodIndex(method)]
}

// Permits reports whether the grants hold the permission: as itself, or by a role
// that includes it. The name of a role is no permission. Nothing is asked for by
// an empty permission.
func (p *Profile) Permits(g identity.Grants, permission string) bool {
	if permission == "" {
		return true
	}
	for grant := range g.All() {
		if includes, isRole := p.roles[grant]; isRole {
			if slices.Contains(includes, permission) {
				return true
			}
		} else if grant == permission {
			return true
		}
	}
	return false
}

// Effective is what the upstream is told of the grants: the permissions with
// roles expanded, in order, without repeats, joined by commas, and cut after a
// whole permission at 4096 bytes.
func (p *Profile) Effective(g identity.Grants) string {
	if len(p.roles) == 0 {
		return cutPermissions(g.String())
	}
	return p.effective.of(g, p.roles)
}

// maxExpansions bounds the sets of grants whose expansion is kept.
const maxExpansions = 1024

// expansion keeps the expansions of grants by roles. Readers take no lock: a
// writer replaces the whole map.
type expansion struct {
	known atomic.Pointer[map[string]string]
	mutex sync.Mutex
}

func (e *expansion) of(g identity.Grants, roles map[string][]string) string {
	if known := e.known.Load(); known != nil {
		if text, ok := (*known)[g.String()]; ok {
			return text
		}
	}
	text := expand(g, roles)
	e.keep(g.String(), text)
	return text
}

func (e *expansion) keep(grants, text string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	next := map[string]string{grants: text}
	if known := e.known.Load(); known != nil && len(*known) < maxExpansions {
		for k, v := range *known {
			next[k] = v
		}
	}
	e.known.Store(&next)
}

func expand(g identity.Grants, roles map[string][]string) string {
	var names []string
	for grant := range g.All() {
		if includes, isRole := roles[grant]; isRole {
			names = append(names, includes...)
		} else {
			names = append(names, grant)
		}
	}
	return cutPermissions(identity.NewGrants(names...).String())
}

func cutPermissions(joined string) string {
	if len(joined) <= maxPermissions {
		return joined
	}
	end := strings.LastIndexByte(joined[:maxPermissions+1], ',')
	if end < 0 {
		return ""
	}
	return joined[:end]
}
