package profile_test

import (
	"slices"
	"strings"
	"testing"

	"postern/authz/profile"
	"postern/authz/reason"
)

func TestTheNearestEntryAnswersAndLendsWhatAnotherLeavesOut(t *testing.T) {
	p := keyed(t, `
answers:
  revoked: { json: { own: "{{.Message}}" } }
  expired: { status: 403 }
  unauthenticated: { message: Family }
  forbidden: { json: { family: "{{.Reason}}" } }
  wrong_organization: { status: 404, json: { hidden: true } }
  unavailable: { message: Later }
  default: { json: { default: "{{.Message}}" }, headers: { x-denied-by: "{{.Reason}}" } }
routes:
  - route: /special
    answers:
      forbidden: { message: Not here }
      revoked: { json: { route: true } }
  - route: /plain
`)
	special, _ := p.Match("GET", "/special", nil)
	plain, _ := p.Match("GET", "/plain", nil)
	for name, tt := range map[string]struct {
		route  *profile.Route
		reason reason.Reason
		status int
		body   string
	}{
		"a Reason's own body with its family's message":  {plain, reason.Revoked, 401, `{"own":"Family"}`},
		"a Reason's own status, the rest from elsewhere": {plain, reason.Expired, 403, `{"default":"Family"}`},
		"a family":                                          {plain, reason.MissingCredential, 401, `{"default":"Family"}`},
		"the Reason of a family's name":                     {plain, reason.Forbidden, 403, `{"family":"forbidden"}`},
		"a member of a family named like a Reason":          {plain, reason.ResourceForeign, 403, `{"family":"resource_foreign"}`},
		"a member with an entry of its own":                 {plain, reason.WrongOrganization, 404, `{"hidden":true}`},
		"the other family named like a Reason":              {plain, reason.Overloaded, 503, `{"default":"Later"}`},
		"the default":                                       {plain, reason.BadRequest, 400, `{"default":"The request is malformed"}`},
		"a route's entry goes before the profile's":         {special, reason.Revoked, 401, `{"route":true}`},
		"a route's family goes before the profile's Reason": {special, reason.WrongOrganization, 404, `{"hidden":true}`},
		"a route's entry borrows from the profile":          {special, reason.Forbidden, 403, `{"family":"forbidden"}`},
		"a route without an entry for it":                   {special, reason.Expired, 403, `{"default":"Family"}`},
		"no route":                                          {nil, reason.Expired, 403, `{"default":"Family"}`},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.Answer(tt.route, tt.reason)
			if a.Status != tt.status || a.Body != tt.body || a.Reason != tt.reason {
				t.Errorf("got %v %d %s", a.Reason, a.Status, a.Body)
			}
			if got := value(a.Headers, "x-denied-by"); got != tt.reason.String() {
				t.Errorf("x-denied-by: %q", got)
			}
		})
	}
	if got := p.Answer(special, reason.ResourceForeign).GRPCMessage; got != "Not here" {
		t.Errorf("a gRPC client on the special route is told %q", got)
	}
}

func TestABodyIsWrittenAsItStands(t *testing.T) {
	p := keyed(t, `
answers:
  default:
    json:
      z: "{{.Code}} <b> & \"{{.Message}}\""
      a: [1, -2.50, 1e3, 0x10, true, null, "5", "{{.Status}}", "n{{.Status}}"]
      empty: {}
      none: []
      date: 2024-01-02
      "k\"": é
`)
	want := `{"z":"BAD_REQUEST <b> & \"The request is malformed\"","a":[1,-2.5,1000,16,true,null,"5",400,"n400"],` +
		`"empty":{},"none":[],"date":"2024-01-02","k\"":"é"}`
	if got := p.Answer(nil, reason.BadRequest).Body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEveryDenialIsClosedAndComplete(t *testing.T) {
	answers := map[string]func(reason.Reason) *profile.Answer{"no profile": profile.Closed}
	for _, p := range append(all(t), keyed(t, "")) {
		answers[string(p.Name)] = func(r reason.Reason) *profile.Answer { return p.Answer(nil, r) }
	}
	for name, answer := range answers {
		for _, r := range reason.Denials() {
			a := answer(r)
			switch {
			case a.Reason != r, a.Status < 400, a.GRPCStatus == 0, a.GRPCMessage == "", !strings.HasPrefix(a.Body, `{"`),
				a.Headers[0] != profile.Header{Name: "content-type", Value: "application/json"},
				value(a.Headers, "cache-control") != "no-store",
				a.Status == 401 && name != "no profile" && value(a.Headers, "www-authenticate") != "Bearer",
				a.Status == 503 && value(a.Headers, "retry-after") != "1",
				a.Status == 405 && value(a.Headers, "allow") != "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
				value(a.GRPCHeaders, "content-type") != "text/plain", value(a.GRPCHeaders, "grpc-status") == "":
				t.Errorf("%s, %v: %+v", name, r, a)
			}
		}
		for _, r := range []reason.Reason{reason.Unset, reason.Allowed, reason.Public, 255} {
			if a := answer(r); a == nil || a.Reason != reason.Internal {
				t.Errorf("%s: what is no denial is answered by %+v", name, a)
			}
		}
	}
}

func TestAnAnswersOwnHeadersReplaceTheBuiltInOnes(t *testing.T) {
	p := keyed(t, `
answers:
  unauthenticated: { headers: { www-authenticate: 'Bearer realm="api"', vary: origin } }
  overloaded: { status: 429, headers: { retry-after: "3" } }
`)
	if got := value(p.Answer(nil, reason.Expired).Headers, "www-authenticate"); got != `Bearer realm="api"` {
		t.Errorf("www-authenticate: %q", got)
	}
	over := p.Answer(nil, reason.Overloaded)
	if got := value(over.Headers, "retry-after"); got != "3" || over.GRPCStatus != 8 {
		t.Errorf("overloaded: %+v", over)
	}
}

func TestNoBearerSourceNoBearerChallenge(t *testing.T) {
	p := load(t, false, written(t, "profile: api\ncredentials: [{ header: x-api-key, as: api_key }]\napi_keys: { prefix: k_ }\n")).ByName("api")
	if got := value(p.Answer(nil, reason.MissingCredential).Headers, "www-authenticate"); got != "" {
		t.Errorf("www-authenticate: %q", got)
	}
}

func TestGRPCStatusSaysWhatTheHTTPStatusSays(t *testing.T) {
	for status, want := range map[string]int{
		"400": 3, "401": 16, "402": 9, "403": 7, "404": 5, "405": 12, "413": 8, "429": 8, "431": 8, "500": 13, "503": 14,
	} {
		p := keyed(t, "answers: { bad_request: { status: "+status+" } }")
		if got := p.Answer(nil, reason.BadRequest).GRPCStatus; got != want {
			t.Errorf("%s: got %d, want %d", status, got, want)
		}
	}
}

// value is that of the one header of the name.
func value(headers []profile.Header, name string) string {
	i := slices.IndexFunc(headers, func(h profile.Header) bool { return h.Name == name })
	if i < 0 {
		return ""
	}
	if slices.ContainsFunc(headers[i+1:], func(h profile.Header) bool { return h.Name == name }) {
		return "given twice"
	}
	return headers[i].Value
}
