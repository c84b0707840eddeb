package envoy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	artosMissing   = `{"detail":"Not authenticated"}`
	artosInvalid   = `{"detail":"Invalid authentication credentials"}`
	artosMalformed = `{"detail":"The request is malformed"}`
)

func TestHEADIsDecidedAsGETAndHasNoBody(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, c := range []struct {
			api, path string
			headers   []string
			status    int
		}{
			{"artos", "/api/v1/search/status", nil, 200},
			{"artos", "/api/v1/templates/", bearer("$ARTOS_TOKEN"), 200},
			{"artos", "/api/v1/templates/", nil, 401},
			{"artos", "/api/v1/templates/", bearer("$ARTOS_NO_ORG_TOKEN"), 403},
			{"authenta", "/api/v1/jobs", bearer("$AUTHENTA_READONLY_KEY"), 200},
			{"authenta", "/api/v1/jobs", bearer("$AUTHENTA_REVOKED_KEY"), 401},
			{"artanis", "/api/prompts?projectSlug=no-such-project", []string{"x-api-key: $ARTANIS_API_KEY", "x-org-slug: my-org"}, 404},
		} {
			r := g.send(t, c.api, "HEAD "+c.path, c.headers...)
			if r.status != c.status || r.body != "" || r.after != "" {
				t.Errorf("HEAD %s: %d, body %q, and then %q; want %d and nothing", c.path, r.status, r.body, r.after, c.status)
			}
			if get := g.send(t, c.api, "GET "+c.path, c.headers...); get.header.Get("Content-Type") != r.header.Get("Content-Type") {
				t.Errorf("HEAD %s: the content type is %q, of GET %q", c.path, r.header.Get("Content-Type"), get.header.Get("Content-Type"))
			}
		}
	})
}

// h2 sends a request over HTTP/2 without TLS.
func (g gate) h2(t *testing.T, method, url string, headers ...string) reply {
	t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, fill(t, url), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(fill(t, h), ": ")
		request.Header.Add(name, value)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.ProtoMajor != 2 {
		t.Fatalf("the answer came by %s", response.Proto)
	}
	return reply{status: response.StatusCode, header: response.Header, body: string(body)}
}

func TestHTTP2IsDecidedAsHTTP1(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		artos := g.url("artos") + "/api/v1/templates/"
		mustTell(t, g.h2(t, "GET", artos, "authorization: Bearer $ARTOS_TOKEN", "x-org-id: evil", "x.org.id: evil").allowed(t), map[string]string{
			"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_ada", "x-permissions": "read,write,delete", "x-auth-method": "token",
		})
		g.h2(t, "GET", artos).denied(t, 401, artosMissing)
		g.h2(t, "GET", artos, "authorization: Bearer $ARTOS_REVOKED_TOKEN").denied(t, 401, artosInvalid)
		g.h2(t, "GET", artos, "authorization: Bearer $ARTOS_TOKEN", "authorization: Bearer $ARTOS_TOKEN").denied(t, 401, artosInvalid)
		if r := g.h2(t, "HEAD", artos); r.status != 401 || r.body != "" {
			t.Errorf("HEAD: %s", r)
		}
		g.h2(t, "POST", g.url("authenta")+"/api/v1/jobs", "authorization: Bearer $AUTHENTA_NOBALANCE_KEY").
			denied(t, 402, `{"code":"INSUFFICIENT_BALANCE","statusCode":402,"message":"Insufficient balance. Please top up or enable pay-as-you-go billing"}`)
		// Browsers send a field for each cookie (RFC 9113 § 8.2.3).
		seen := g.h2(t, "GET", g.url("artanis")+"/api/prompts", "cookie: a=1", "cookie: __session=$ARTANIS_SESSION_TOKEN", "cookie: b=2", "x-org-slug: my-org").allowed(t)
		if have := strings.Join(seen.Headers["cookie"], "|"); have != "a=1; b=2" {
			t.Errorf("the upstream received the cookies %q", have)
		}
		g.h2(t, "GET", g.url("artos")+"/api/v1/search/status/../documents", "authorization: x").refused(t)
	})
}

// Envoy joins two Authorization headers by a comma; two x-api-key it joins only
// where it does not send the headers raw.
func TestRepeatedCredentialsAreRefusedEvenWhenBothAreGood(t *testing.T) {
	const artanisInvalid = `{"error":"Invalid x-api-key or session"}`
	throughEach(t, func(t *testing.T, g gate) {
		for says, headers := range map[string][]string{
			"twice the same":   {"Authorization: Bearer $ARTOS_TOKEN", "Authorization: Bearer $ARTOS_TOKEN"},
			"good, then bad":   {"Authorization: Bearer $ARTOS_TOKEN", "Authorization: Bearer nonsense"},
			"bad, then good":   {"Authorization: Bearer nonsense", "authorization: Bearer $ARTOS_TOKEN"},
			"in one field":     {"Authorization: Bearer $ARTOS_TOKEN, Bearer $ARTOS_TOKEN"},
			"a comma behind":   {"Authorization: Bearer $ARTOS_TOKEN,"},
			"good, then Basic": {"Authorization: Bearer $ARTOS_TOKEN", "Authorization: Basic YTpi"},
		} {
			t.Run(says, func(t *testing.T) {
				r := g.send(t, "artos", "GET /api/v1/templates/", headers...)
				r.denied(t, 401, artosInvalid)
			})
		}
		for _, headers := range [][]string{
			{"x-api-key: $ARTANIS_API_KEY", "x-api-key: $ARTANIS_API_KEY"},
			{"x-api-key: $ARTANIS_API_KEY", "X-Api-Key: $ARTANIS_OTHER_KEY"},
			{"x-api-key: $ARTANIS_API_KEY,$ARTANIS_API_KEY"},
		} {
			g.send(t, "artanis", "GET /api/prompts", append(headers, "x-org-slug: my-org")...).denied(t, 401, artanisInvalid)
		}
		// A key and a session at once: the key decides, and both stay behind.
		seen := g.send(t, "artanis", "GET /api/prompts", "x-api-key: $ARTANIS_API_KEY", "Authorization: Bearer $ARTANIS_LONER_SESSION", "Cookie: __session=$ARTANIS_LONER_SESSION", "x-org-slug: my-org").allowed(t)
		if seen.Headers["authorization"] != nil || seen.Headers["cookie"] != nil || strings.Join(seen.Headers["x-auth-method"], "|") != "api_key" {
			t.Errorf("the upstream received %v", seen.Headers)
		}
	})
}

func TestSchemeIsReadInAnyCaseAndTheCredentialToTheByte(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, h := range []string{"authorization: bearer $ARTOS_TOKEN", "AUTHORIZATION: BEARER $ARTOS_TOKEN", "Authorization:Bearer   $ARTOS_TOKEN", "Authorization: \t Bearer $ARTOS_TOKEN \t ", "aUTHORIZATION: bEARER $ARTOS_TOKEN"} {
			g.send(t, "artos", "GET /api/v1/templates/", h).allowed(t)
		}
		for says, header := range map[string]string{
			"a tab behind the scheme":     "Authorization: Bearer\t$ARTOS_TOKEN",
			"a tab behind a blank":        "Authorization: Bearer \t$ARTOS_TOKEN",
			"high bytes behind":           "Authorization: Bearer $ARTOS_TOKEN\xff\xfe",
			"a high byte in front":        "Authorization: Bearer \xe9$ARTOS_TOKEN",
			"a no-break space":            "Authorization: Bearer\xc2\xa0$ARTOS_TOKEN",
			"quotes":                      `Authorization: Bearer "$ARTOS_TOKEN"`,
			"an exclamation mark":         "Authorization: Bearer $ARTOS_TOKEN!",
			"a semicolon":                 "Authorization: Bearer $ARTOS_TOKEN; x",
			"a parameter":                 "Authorization: Bearer token=$ARTOS_TOKEN",
			"percent encoding":            "Authorization: Bearer %65$ARTOS_TOKEN",
			"twice the scheme":            "Authorization: Bearer Bearer $ARTOS_TOKEN",
			"a dot behind":                "Authorization: Bearer $ARTOS_TOKEN.",
			"padding behind":              "Authorization: Bearer $ARTOS_TOKEN=",
			"the credential without ends": "Authorization: Bearer " + strings.Repeat("a", 9000),
		} {
			t.Run(says, func(t *testing.T) {
				r := g.send(t, "artos", "GET /api/v1/templates/", header)
				switch {
				case r.status == 401 && says == "a no-break space": // another scheme, by that name
					r.denied(t, 401, artosMissing)
				case r.status == 401:
					r.denied(t, 401, artosInvalid)
				default:
					r.refused(t)
				}
			})
		}
		for _, h := range []string{"x-api-key: $ARTANIS_API_KEY\xff", "x-api-key: \xc3\xa9", "x-api-key: $ARTANIS_API_KEY x", "x-api-key: $ARTANIS_API_KEY!"} {
			g.send(t, "artanis", "GET /api/prompts", h, "x-org-slug: my-org").denied(t, 401, `{"error":"Invalid x-api-key or session"}`)
		}
	})
}

// Envoy joins folded lines (RFC 9112 § 5.2 forbids them to clients).
func TestFoldedLinesSmuggleNothing(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		r := g.send(t, "artos", "GET /api/v1/search/status", "X-Note: a\r\n x-org-id: evil", "X-Other: b\r\n\tx-user-id: evil")
		if seen, ok := r.reached(); ok {
			mustTell(t, seen, map[string]string{"x-note": strings.Join(seen.Headers["x-note"], "|"), "x-other": strings.Join(seen.Headers["x-other"], "|")})
		}
		for _, h := range []string{"Authorization: Bearer nonsense\r\n x", "Authorization: Bearer\r\n nonsense", "X-Note: a\r\n Authorization: Bearer $ARTOS_TOKEN"} {
			g.send(t, "artos", "GET /api/v1/templates/", h).refused(t)
		}
		// Where the folded credential is joined to a good one, it is that one's holder.
		if seen, ok := g.send(t, "artos", "GET /api/v1/templates/", "Authorization: Bearer\r\n $ARTOS_TOKEN").reached(); ok {
			mustTell(t, seen, map[string]string{
				"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_ada", "x-permissions": "read,write,delete", "x-auth-method": "token",
			})
		}
	})
}

// Envoy allows 100 headers, Postern's among them.
func TestManyOrLargeHeadersAreNoWayAroundTheIdentity(t *testing.T) {
	want := map[string]string{"x-org-id": "org_my", "x-org-slug": "my-org", "x-user-id": "user_ada", "x-permissions": "read,write,delete", "x-auth-method": "token"}
	throughEach(t, func(t *testing.T, g gate) {
		for _, count := range []int{50, 80, 90, 93, 94, 95, 96, 97, 98, 99, 120} {
			headers := bearer("$ARTOS_TOKEN")
			for i := range count {
				headers = append(headers, fmt.Sprintf("n%d: x", i))
			}
			r := g.send(t, "artos", "GET /api/v1/templates/", append(headers, "x-org-id: evil")...)
			if seen, ok := r.reached(); ok {
				mustTell(t, seen, want)
			} else if count <= 80 || r.status < 400 {
				t.Errorf("%d headers: %s", count, r)
			}
		}
		for _, size := range []int{7000, 30_000, 80_000} {
			r := g.send(t, "artos", "GET /api/v1/templates/", "Authorization: Bearer $ARTOS_TOKEN", "x-large: "+strings.Repeat("a", size), "x-org-id: evil")
			if seen, ok := r.reached(); ok {
				delete(seen.Headers, "x-large")
				mustTell(t, seen, want)
			} else if size == 7000 || r.status < 400 {
				t.Errorf("a header of %d bytes: %s", size, r)
			}
		}
	})
}

func TestUpgradesAreRefused(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, c := range []struct{ api, line, credential string }{
			{"artos", "GET /api/v1/search/status", "$ARTOS_TOKEN"},
			{"artos", "GET /api/v1/templates/", "$ARTOS_TOKEN"},
			{"authenta", "GET /health", "$AUTHENTA_API_KEY"},
		} {
			r := g.once(t, c.api, c.line, fill(t, "Authorization: Bearer "+c.credential), "Connection: Upgrade", "Upgrade: websocket",
				"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			r.refused(t)
		}
	})
}

func TestUnknownMethodsAreRefused(t *testing.T) {
	const authentaMethod = `{"code":"METHOD_NOT_ALLOWED","statusCode":405,"message":"Method not allowed"}`
	throughEach(t, func(t *testing.T, g gate) {
		for _, method := range []string{"TRACE", "PROPFIND", "QUERY", "LINK", "FOO", "get", "Post", "CONNECT", "PRI"} {
			r := g.send(t, "authenta", method+" /api/v1/jobs", bearer("$AUTHENTA_API_KEY")...)
			r.refused(t)
			if r.status == 405 {
				r.denied(t, 405, authentaMethod)
				if r.header.Get("Allow") != "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" {
					t.Errorf("%s: Allow is %q", method, r.header.Get("Allow"))
				}
			}
			g.send(t, "artos", method+" /api/v1/search/status").refused(t)
		}
		g.send(t, "authenta", "PROPFIND /api/v1/jobs", bearer("$AUTHENTA_API_KEY")...).denied(t, 405, authentaMethod)
	})
}
