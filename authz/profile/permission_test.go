package profile_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"postern/authz/identity"
)

const withRoles = `
roles: { editor: [read, write], viewer: [read] }
permissions: { GET: read, POST: write, PUT: write, PATCH: write, DELETE: remove }
`

func TestAPermissionIsHeldAsItselfOrByARole(t *testing.T) {
	p := keyed(t, withRoles)
	for name, tt := range map[string]struct {
		grants     []string
		permission string
		want       bool
	}{
		"nothing is asked for":                    {nil, "", true},
		"nothing is held":                         {nil, "read", false},
		"held as itself":                          {[]string{"read"}, "read", true},
		"held by a role":                          {[]string{"viewer"}, "read", true},
		"not in the role":                         {[]string{"viewer"}, "write", false},
		"in the second role":                      {[]string{"viewer", "editor"}, "write", true},
		"an unknown role":                         {[]string{"owner"}, "write", false},
		"a role's name is no permission":          {[]string{"viewer"}, "viewer", false},
		"another case is another permission":      {[]string{"READ"}, "read", false},
		"a part of a permission's name is not it": {[]string{"rea"}, "read", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := p.Permits(identity.NewGrants(tt.grants...), tt.permission); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestARouteAsksForItsOwnPermissionElseTheMethods(t *testing.T) {
	p := keyed(t, withRoles+"routes: [{ route: POST /search, permission: read }, { route: GET /open, public: true }]")
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/x", "read"},
		{"HEAD", "/x", "read"},
		{"OPTIONS", "/x", "read"},
		{"POST", "/x", "write"},
		{"DELETE", "/x", "remove"},
		{"POST", "/search", "read"},
		{"GET", "/open", ""},
	} {
		route, _ := p.Match(tt.method, tt.path, nil)
		if got := p.Permission(route, tt.method); got != tt.want {
			t.Errorf("%s %s asks for %q, not %q", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestEffectiveExpandsRolesOnceAndInOrder(t *testing.T) {
	p := keyed(t, withRoles)
	for _, tt := range []struct{ grants, want string }{
		{"", ""},
		{"viewer", "read"},
		{"editor,viewer", "read,write"},
		{"export,editor,read", "export,read,write"},
	} {
		grants := identity.NewGrants(strings.Split(tt.grants, ",")...)
		for range 2 { // made, then kept
			if got := p.Effective(grants); got != tt.want {
				t.Errorf("%q: got %q, want %q", tt.grants, got, tt.want)
			}
		}
	}
}

func TestEffectiveIsCutAfterAWholePermission(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("permission-%02d-%s", i, strings.Repeat("x", 45)))
	}
	for name, p := range map[string]string{"without roles": "", "with roles": withRoles} {
		got := keyed(t, p).Effective(identity.NewGrants(names...))
		if len(got) > 4096 || len(got) < 4000 || !strings.HasPrefix(strings.Join(names, ",")+",", got+",") {
			t.Errorf("%s: %d bytes, ending %q", name, len(got), got[len(got)-20:])
		}
	}
}

// TestEffectiveIsBoundedAndSafeForManyReaders asks for more sets of grants than
// are kept, from several goroutines.
func TestEffectiveIsBoundedAndSafeForManyReaders(t *testing.T) {
	p := keyed(t, withRoles)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for i := range 1500 {
				extra := fmt.Sprintf("extra-%d", i)
				if got := p.Effective(identity.NewGrants("viewer", extra)); got != "read,"+extra {
					t.Errorf("got %q", got)
					return
				}
			}
		})
	}
	group.Wait()
}
