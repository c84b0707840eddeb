package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// exchange is a call that the http.Handler serves.
type exchange struct {
	conn   *conn
	stream *stream
	body   *body

	header  http.Header
	told    bool // the status was sent
	trailer []string
}

// serveOther runs the handler of a call.
func (c *conn) serveOther(s *stream) {
	x := &exchange{conn: c, stream: s, header: http.Header{}}
	x.body = &body{exchange: x, max: c.server.options.MaxMessage + maxFrame}
	x.body.changed.L = &x.body.mu
	request, ok := x.request(c.head.fields)
	if !ok {
		c.reset(s.id, http2.ErrCodeProtocol)
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	c.mu.Lock()
	s.other, s.cancel = x, cancel
	c.mu.Unlock()
	c.spawn(func() {
		defer cancel()
		defer x.finish()
		c.server.options.Others.ServeHTTP(x, request.WithContext(ctx))
	})
}

// request is the call as net/http knows one.
func (x *exchange) request(fields []hpack.HeaderField) (*http.Request, bool) {
	r := &http.Request{
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}, Body: x.body, ContentLength: -1,
		RemoteAddr: x.conn.net.RemoteAddr().String(),
	}
	path := ""
	for _, f := range fields {
		switch f.Name {
		case ":method":
			r.Method = f.Value
		case ":path":
			path = f.Value
		case ":authority":
			r.Host = f.Value
		case ":scheme":
		default:
			r.Header.Add(f.Name, f.Value)
		}
	}
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, false
	}
	r.URL, r.RequestURI = u, path
	return r, true
}

// Header is http.ResponseWriter's.
func (x *exchange) Header() http.Header { return x.header }

// WriteHeader sends the status and the headers of now, once.
func (x *exchange) WriteHeader(status int) {
	if x.told {
		return
	}
	x.told = true
	for _, names := range x.header["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			x.trailer = append(x.trailer, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	block := encode(nil, ":status", strconv.Itoa(status))
	for name, values := range x.header {
		if name == "Trailer" || x.isTrailer(name) {
			continue
		}
		for _, value := range values {
			block = encode(block, strings.ToLower(name), value)
		}
	}
	x.conn.mu.Lock()
	defer x.conn.mu.Unlock()
	if x.conn.streams[x.stream.id] == x.stream {
		x.conn.out = appendBlock(x.conn.out, x.stream.id, block, 0)
	}
}

func (x *exchange) isTrailer(name string) bool {
	return strings.HasPrefix(name, http.TrailerPrefix) || slices.Contains(x.trailer, name)
}

// Write sends bytes, and waits while too many are unsent.
func (x *exchange) Write(b []byte) (int, error) {
	x.WriteHeader(http.StatusOK)
	c, s := x.conn, x.stream
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.pending) > maxFrame && !c.closed && c.streams[s.id] == s {
		c.changed.Wait()
	}
	if c.closed || c.streams[s.id] != s {
		return 0, errClosed
	}
	if len(s.pending) == 0 {
		c.blocked = append(c.blocked, s)
	}
	s.pending = append(s.pending, b...)
	c.pump()
	return len(b), nil
}

// Flush is http.Flusher's.
func (x *exchange) Flush() {
	x.WriteHeader(http.StatusOK)
	x.conn.flush()
}

// finish sends the trailers when the handler has returned. A handler that panicked
// ends the call.
func (x *exchange) finish() {
	c, s := x.conn, x.stream
	if cause := recover(); cause != nil {
		c.server.options.Log.Error("a handler panicked and its call was ended", "panic", cause, "stack", string(debug.Stack()))
		c.reset(s.id, http2.ErrCodeInternal)
		return
	}
	x.WriteHeader(http.StatusOK)
	block := []byte{}
	for name, values := range x.header {
		if x.isTrailer(name) {
			for _, value := range values {
				block = encode(block, strings.ToLower(strings.TrimPrefix(name, http.TrailerPrefix)), value)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[s.id] != s {
		return
	}
	s.trailers = block
	if !slices.Contains(c.blocked, s) {
		c.blocked = append(c.blocked, s)
	}
	c.pump()
}

// body is what a client sends to a handler.
type body struct {
	exchange *exchange
	max      int // what may be unread

	mu      sync.Mutex
	changed sync.Cond
	unread  []byte
	ended   bool
	aborted bool
}

var errAborted = errors.New("transport: the client has given the call up")

// put takes received bytes. More than the client was allowed to send is an error.
func (b *body) put(received []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.unread)+len(received) > b.max {
		return http2.StreamError{StreamID: b.exchange.stream.id, Code: http2.ErrCodeFlowControl}
	}
	b.unread = append(b.unread, received...)
	b.changed.Broadcast()
	return nil
}

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.changed.Broadcast()
}

func (b *body) abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.aborted = true
	b.changed.Broadcast()
}

// Read is io.Reader's. It lets the client send as much as was read.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.take(p)
	if n > 0 {
		b.exchange.conn.write(func(out []byte) []byte { return appendWindowUpdate(out, b.exchange.stream.id, n) })
		b.exchange.conn.flush()
	}
	return n, err
}

func (b *body) take(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.unread) == 0 && !b.ended && !b.aborted {
		b.changed.Wait()
	}
	switch {
	case len(b.unread) > 0:
		n := copy(p, b.unread)
		b.unread = b.unread[n:]
		return n, nil
	case b.ended:
		return 0, io.EOF
	}
	return 0, errAborted
}

// Close is io.Closer's.
func (b *body) Close() error { return nil }
