package envoy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rawHTTP2 sends one request over HTTP/2 without TLS, with its fields as they stand:
// no library looks at them on the way. Where Envoy resets the stream or closes the
// connection instead of answering, the reply has the status 400.
func rawHTTP2(t *testing.T, address string, asked fields) reply {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range asked {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: fill(t, f[1])}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}); err != nil {
		t.Fatal(err)
	}
	r, err := readHTTP2(framer)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readHTTP2(framer *http2.Framer) (reply, error) {
	r := reply{header: http.Header{}}
	for {
		frame, err := framer.ReadFrame()
		if (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) && r.status == 0 {
			r.status = 400
			return r, nil
		}
		if err != nil {
			return r, fmt.Errorf("read a frame: %w", err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := framer.WriteSettingsAck(); err != nil {
					return r, err
				}
			}
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				r.header.Add(h.Name, h.Value)
			}
			if r.status, err = strconv.Atoi(f.PseudoValue("status")); err != nil {
				return r, err
			}
		case *http2.DataFrame:
			r.body += string(f.Data())
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			if r.status == 0 {
				r.status = 400
			}
			return r, nil
		}
		if frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream) {
			return r, nil
		}
	}
}

// fields are those of an HTTP/2 request, the pseudo ones among them.
type fields [][2]string

func TestHTTP2FieldsThatNoLibrarySendsOpenNothing(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		get := func(path string, more ...[2]string) fields {
			return append(fields{{":method", "GET"}, {":scheme", "http"}, {":authority", "127.0.0.1"}, {":path", path}}, more...)
		}
		authorization := func(value string) [2]string { return [2]string{"authorization", value} }
		rawHTTP2(t, g.address("artos"), get("/api/v1/templates/", authorization("Bearer $ARTOS_TOKEN"))).allowed(t)
		// HTTP/2 keeps the blanks around a value.
		if r := rawHTTP2(t, g.address("artos"), get("/api/v1/templates/", authorization(" \tBearer $ARTOS_TOKEN "))); r.status != 200 {
			r.refused(t)
		}

		var asked []fields
		for _, more := range []fields{
			nil,
			{authorization("Bearer nonsense")},
			{authorization("Bearer $ARTOS_TOKEN"), authorization("Bearer $ARTOS_TOKEN")},
			{authorization("Bearer $ARTOS_TOKEN\x80")},
			{authorization("Bearer\t$ARTOS_TOKEN")},
			{authorization("Bearer x\r\nAuthorization: Bearer $ARTOS_TOKEN")},
			{{"Authorization", "Bearer $ARTOS_TOKEN"}},
			{{":path", "/api/v1/search/status"}},
			{{":method", "GET"}, {":path", "/api/v1/search/status"}},
			{{"connection", "authorization"}},
		} {
			asked = append(asked, get("/api/v1/templates/", more...))
		}
		for _, path := range []string{
			"", "*", "api/v1/search/status", "/api/v1/search/status/", "/api/v1/search/status#x", "/api/v1/search/status ", "/api/v1/search/status\t", "/api/v1/search/status\x00",
			"/api/v1/search/status\x80", "/api/v1/search/status;x", `/api/v1\search\status`, "http://127.0.0.1/api/v1/search/status", "/api/v1/search/status\r\nx: y", "/api/v1/search/%73tatus",
			"/api/v1/x/../search/status", "//api/v1/search/status",
		} {
			asked = append(asked, get(path))
		}
		everyHTTP2(t, g.address("artos"), asked, func(f fields, r reply) {
			if seen, ok := r.reached(); !ok {
				r.refused(t)
			} else if !g.hardened || seen.Path != "/api/v1/search/status" {
				t.Errorf("%q reached the upstream at %q", f, seen.Path)
			}
		})

		asked = nil
		for _, name := range []string{"x-org-id", "X-Org-Id", "x_org_id", "x-org-id ", " x-org-id", "x-org-id\x80", "x-org-id:"} {
			asked = append(asked, get("/api/v1/search/status", [2]string{name, "evil"}))
		}
		everyHTTP2(t, g.address("artos"), asked, func(f fields, r reply) {
			if strings.Contains(r.body, "evil") || r.status != 200 && (r.status < 400 || r.status > 499) {
				t.Errorf("%q: %s", f, r)
			}
		})

		asked = []fields{{{":method", "GET"}, {":scheme", "http"}, {":authority", "platform.authenta.ai"}, {":path", "/api/v1/search/status"}, {"host", "api.artosai.com"}}}
		for _, authority := range []string{"evil.example", "api.artosai.com@evil.example", "api.artosai.com,evil.example", ""} {
			asked = append(asked, fields{{":method", "GET"}, {":scheme", "http"}, {":authority", authority}, {":path", "/api/v1/search/status"}})
		}
		everyHTTP2(t, g.address("generic"), asked, func(_ fields, r reply) { r.refused(t) })
	})
}

// everyHTTP2 sends all requests at once, because Envoy takes a second to close a
// connection that it finds broken, and checks one reply after the other.
func everyHTTP2(t *testing.T, address string, asked []fields, check func(fields, reply)) {
	t.Helper()
	replies := make([]reply, len(asked))
	var waiting sync.WaitGroup
	for i := range asked {
		waiting.Go(func() { replies[i] = rawHTTP2(t, address, asked[i]) })
	}
	waiting.Wait()
	for i := range asked {
		check(asked[i], replies[i])
	}
}
