package envoy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"postern/internal/demo/upstream"
)

// reply is what a client received.
type reply struct {
	status int
	header http.Header
	body   string
	after  string // what came behind the message, on a connection to be closed
}

// send writes a request as it stands, over a connection of its own: nothing tidies
// up its line or its headers on the way to Envoy. The line is a method and a
// target; $NAMES are filled in; Host and Connection are added where they are not
// given.
func (g gate) send(t testing.TB, api, line string, headers ...string) reply {
	t.Helper()
	return g.sendBody(t, api, line, "", headers...)
}

func (g gate) sendBody(t testing.TB, api, line, body string, headers ...string) reply {
	t.Helper()
	filled := make([]string, len(headers))
	for i := range headers {
		filled[i] = fill(t, headers[i])
	}
	line = fill(t, line)
	for try := 1; ; try++ {
		r, err := exchange(g.address(api), requestText(line, body, filled), line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		// A machine under load lets Envoy's timeout pass now and then: try again, as
		// clients do. Nobody expects this answer of a system that runs.
		if !r.unanswered() || try == 4 {
			return r
		}
		t.Logf("%s: Envoy did not wait for Postern, try %d", line, try)
		time.Sleep(100 * time.Millisecond)
	}
}

func requestText(line, body string, headers []string) string {
	var text strings.Builder
	text.WriteString(line + " HTTP/1.1\r\n")
	if !names(headers, "host") {
		text.WriteString("Host: 127.0.0.1\r\n")
	}
	if !names(headers, "connection") {
		text.WriteString("Connection: close\r\n")
	}
	if body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(body))
	}
	for _, h := range headers {
		text.WriteString(h + "\r\n")
	}
	text.WriteString("\r\n" + body)
	return text.String()
}

func names(headers []string, name string) bool {
	for _, h := range headers {
		if got, _, _ := strings.Cut(h, ":"); strings.EqualFold(got, name) {
			return true
		}
	}
	return false
}

func exchange(address, request, line string) (reply, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		return reply{}, err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return reply{}, err
	}
	reader := bufio.NewReader(conn)
	method, _, _ := strings.Cut(line, " ")
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		return reply{}, fmt.Errorf("read the response: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, fmt.Errorf("read the body: %w", err)
	}
	r := reply{status: response.StatusCode, header: response.Header, body: string(body)}
	if response.Close {
		// Envoy waits a second for a client that it has refused, unless that one ends first.
		_ = conn.(*net.TCPConn).CloseWrite()
		after, _ := io.ReadAll(reader) // a reset says the same as an end
		r.after = string(after)
	}
	return r, nil
}

// unanswered: Envoy answered by itself, because Postern had not in time.
func (r reply) unanswered() bool {
	bare := r.status == 403 && r.body == "" && r.header.Get("Content-Type") == ""
	return bare || r.status == 503
}

// reached reads what the upstream says that it received; ok is false for an
// answer that is not the upstream's.
func (r reply) reached() (seen upstream.Received, ok bool) {
	if r.status != http.StatusOK || json.Unmarshal([]byte(r.body), &seen) != nil || seen.Method == "" {
		return upstream.Received{}, false
	}
	return seen, true
}

// allowed reads what the upstream received of a request that must get there.
func (r reply) allowed(t testing.TB) upstream.Received {
	t.Helper()
	seen, ok := r.reached()
	if !ok {
		t.Fatalf("got %s, want an answer of the upstream", r)
	}
	return seen
}

// denied checks a denial to the byte.
func (r reply) denied(t testing.TB, status int, body string) {
	t.Helper()
	if r.status != status || r.body != body {
		t.Errorf("got  %s\nwant %d %s", r, status, body)
	}
	if kind := r.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("got the content type %q", kind)
	}
	if r.after != "" {
		t.Errorf("behind the answer came %q", r.after)
	}
}

// refused checks that the request did not get to the upstream, whoever stopped it.
func (r reply) refused(t testing.TB) {
	t.Helper()
	if r.status < 400 || r.status >= 500 {
		t.Errorf("got %s, want a refusal", r)
	}
	if _, ok := r.reached(); ok {
		t.Errorf("the upstream was reached: %s", r.body)
	}
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }
