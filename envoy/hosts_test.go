package envoy_test

import (
	"strings"
	"testing"
)

const authentaInvalid = `{"code":"INVALID_API_KEY","statusCode":401,"message":"API key authentication failed"}`

// The generic listener serves every API; the host alone says which.
func TestProfileIsFoundByTheHost(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for host, body := range map[string]string{
			"api.artosai.com":      artosMissing,
			"app.datasets.example": `{"type":"client_error","errors":[{"code":"not_authenticated","detail":"Authentication credentials were not provided.","attr":null,"extra":null}]}`,
			"app.artanis.ai":       `{"error":"Missing x-api-key, and no session"}`,
			"platform.arthur.ai":   `{"detail":"Not authenticated"}`,
			"engine.arthur.ai":     `{"detail":"Not authenticated"}`,
			"platform.authenta.ai": authentaInvalid,
		} {
			g.send(t, "generic", "GET /api/v1/jobs", "Host: "+host).denied(t, 401, body)
		}
		seen := g.send(t, "generic", "GET /api/v1/jobs", "Host: platform.authenta.ai", "Authorization: Bearer $AUTHENTA_API_KEY").allowed(t)
		if strings.Join(seen.Headers["x-org-id"], "|") != "org_media" {
			t.Errorf("the upstream was told %v", told(seen))
		}
		// /api/v1/traces and /api/v1/jobs exist in two systems: a key of one is none of the other.
		g.send(t, "generic", "POST /api/v1/traces", "Host: platform.authenta.ai", "Authorization: Bearer $ARTANIS_API_KEY").denied(t, 401, authentaInvalid)
		g.send(t, "generic", "POST /api/v1/traces", "Host: app.artanis.ai", "Authorization: Bearer $ARTANIS_API_KEY").allowed(t)
	})
}

// The public path of artos shows which profile a host is taken for.
func TestHostIsReadInOneWay(t *testing.T) {
	same := []string{"api.artosai.com", "API.ArtosAI.com", "api.artosai.com:443", "API.ARTOSAI.COM:10000"}
	throughEach(t, func(t *testing.T, g gate) {
		for _, host := range same {
			g.send(t, "generic", "GET /api/v1/search/status", "Host: "+host).allowed(t)
		}
		for _, host := range []string{"api.artosai.com.", "api.artosai.com.:443"} { // the root's dot: the same name
			if r := g.send(t, "generic", "GET /api/v1/search/status", "Host: "+host); !g.hardened {
				r.allowed(t)
			} else if _, ok := r.reached(); !ok {
				r.refused(t)
			}
		}
		for says, hosts := range map[string][]string{
			"unknown":                       {"evil.example"},
			"a user in front":               {"api.artosai.com@evil.example"},
			"a user behind":                 {"evil.example@api.artosai.com"},
			"two by a comma":                {"api.artosai.com,evil.example"},
			"two by a comma, evil first":    {"evil.example,api.artosai.com"},
			"two headers":                   {"api.artosai.com", "platform.authenta.ai"},
			"two headers, evil first":       {"evil.example", "api.artosai.com"},
			"a suffix":                      {"api.artosai.com.evil.example"},
			"a prefix":                      {"evil.api.artosai.com"},
			"two dots behind":               {"api.artosai.com.."},
			"a blank behind the name":       {"api.artosai.com evil.example"},
			"a path":                        {"api.artosai.com/api"},
			"a port that is none":           {"api.artosai.com:x"},
			"two ports":                     {"api.artosai.com:1:2"},
			"a NUL":                         {"api.artosai.com\x00"},
			"a high byte":                   {"api.artosai.com\xff"},
			"a percent sign":                {"api%2eartosai.com"},
			"brackets":                      {"[api.artosai.com]"},
			"an address":                    {"127.0.0.1"},
			"nothing":                       {""},
			"a label in another script":     {"\xd0\xb0pi.artosai.com"},
			"a wildcard":                    {"*"},
			"the name of a profile":         {"artos"},
			"the name, with a query behind": {"api.artosai.com?x"},
		} {
			t.Run(says, func(t *testing.T) {
				var headers []string
				for _, host := range hosts {
					headers = append(headers, "Host: "+host)
				}
				r := g.send(t, "generic", "GET /api/v1/search/status", headers...)
				if seen, ok := r.reached(); ok {
					t.Errorf("the public path of artos is open to it; the upstream saw the host %q", seen.Headers["host"])
					return
				}
				r.refused(t)
				if r.status == 403 && !g.hardened { // Postern's own, which knows no profile to speak for
					r.denied(t, 403, `{"error":"no_profile","message":"No API is served at this address"}`)
				}
			})
		}
	})
}

// With an absolute target the host is the target's, and Host is ignored (RFC 9112 § 3.2.2).
func TestAbsoluteTargetsAreJudgedByTheirOwnHost(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		r := g.send(t, "generic", "GET http://platform.authenta.ai/api/v1/search/status", "Host: api.artosai.com")
		r.denied(t, 401, authentaInvalid)
		seen := g.send(t, "generic", "GET http://api.artosai.com/api/v1/search/status", "Host: platform.authenta.ai").allowed(t)
		if seen.Path != "/api/v1/search/status" || strings.Join(seen.Headers["host"], "|") != "api.artosai.com" {
			t.Errorf("the upstream saw %s on %v", seen.Path, seen.Headers["host"])
		}
		for _, target := range []string{
			"http://evil.example/api/v1/search/status", "http://api.artosai.com@evil.example/api/v1/search/status", "http://evil.example/http://api.artosai.com/api/v1/search/status",
			"http://api.artosai.com", "http://api.artosai.com/api/v1/documents", "http:///api/v1/search/status", "ftp://api.artosai.com/api/v1/search/status/x",
		} {
			g.send(t, "generic", "GET "+target, "Host: evil.example").refused(t)
		}
		// On a listener of one API the route names the profile, whatever the host.
		g.send(t, "artos", "GET http://127.0.0.1/api/v1/templates/").denied(t, 401, artosMissing)
		g.send(t, "artos", "GET http://127.0.0.1/api/v1/search/status/../templates/").refused(t)
	})
}

// What a client says of the profile decides nothing.
func TestClientCannotChooseTheProfile(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, h := range []string{"profile: artos", "x-profile: artos", "x-postern-profile: artos", "x-forwarded-host: api.artosai.com", "x-host: api.artosai.com", "forwarded: host=api.artosai.com"} {
			g.send(t, "authenta", "GET /api/v1/search/status?profile=artos", h).denied(t, 401, authentaInvalid)
			g.send(t, "generic", "GET /api/v1/search/status?profile=artos", h, "Host: platform.authenta.ai").denied(t, 401, authentaInvalid)
		}
		if !g.hardened { // any host gets there; the route still decides
			g.send(t, "authenta", "GET /api/v1/search/status", "Host: api.artosai.com").denied(t, 401, authentaInvalid)
		}
	})
}
