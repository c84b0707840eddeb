package profile_test

import (
	"testing"

	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
)

// TestTheHotPathDoesNotAllocate covers what a decision on a cached credential asks.
func TestTheHotPathDoesNotAllocate(t *testing.T) {
	set := presets(t)
	engine, artanis := set.ByName("arthur-engine"), set.ByName("artanis")
	admin := identity.NewGrants("TASK-ADMIN", "ORG-ADMIN")
	plain := identity.NewGrants("READ", "WRITE")
	var vars profile.Vars
	route, _ := engine.Match("DELETE", "/api/v2/tasks/t1", nil)
	for name, step := range map[string]func(){
		"Match on a route":          func() { artanis.Match("GET", "/api/projects/p1/traces", &vars) },
		"Match on the fallback":     func() { artanis.Match("GET", "/elsewhere", &vars) },
		"Match of an odd spelling":  func() { artanis.Match("GET", "/API/%61pi/x", &vars) },
		"Vars.Get":                  func() { vars.Get("project_id") },
		"Select by context":         func() { set.Select("authenta", "", "") },
		"Select by host":            func() { set.Select("", "platform.authenta.ai:443", "") },
		"Select by host, folded":    func() { set.Select("", "Platform.Authenta.AI.", "") },
		"Select by the fallback":    func() { set.Select("", "unknown.example", "authenta") },
		"Permission":                func() { engine.Permission(route, "GET") },
		"Permits by a role":         func() { engine.Permits(admin, "manage_api_keys") },
		"Permits not":               func() { engine.Permits(plain, "manage_api_keys") },
		"Effective without roles":   func() { artanis.Effective(plain) },
		"Effective with roles":      func() { engine.Effective(admin) },
		"Answer":                    func() { engine.Answer(route, reason.Revoked) },
		"Answer without a route":    func() { engine.Answer(nil, reason.Revoked) },
		"Closed, without a profile": func() { profile.Closed(reason.NoProfile) },
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, step); n != 0 {
				t.Errorf("allocates %v times", n)
			}
		})
	}
}
