package transport

import (
	"context"
	"encoding/binary"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/mem"
)

// stream is one call under way.
type stream struct {
	id       uint32
	call     call
	body     []byte // what came of it in several frames
	received int64
	other    *exchange // of another method; nil: of the one that is called often

	// Under the connection's lock.
	done     bool // the client has sent all
	window   int64
	pending  []byte // is to be sent, and finds no window
	trailers []byte // end the stream after it; nil: more is to come
	cancel   context.CancelFunc
}

// prefix is what stands before a message: whether it is compressed, and its length.
const prefix = 5

// The gRPC codes that the transport itself answers with.
const (
	codeExhausted = "8"
	codeInternal  = "13"
)

func (c *conn) headers(f *http2.HeadersFrame) error {
	if f.HasPriority() && f.Priority.StreamDep == f.StreamID {
		return http2.ConnectionError(http2.ErrCodeProtocol) // on itself
	}
	if f.HeadersEnded() {
		return c.begun(f.StreamID, f.StreamEnded(), f.HeaderBlockFragment())
	}
	c.head.stream, c.head.ends = f.StreamID, f.StreamEnded()
	c.head.parts = append(c.head.parts[:0], f.HeaderBlockFragment()...)
	return nil
}

func (c *conn) continuation(f *http2.ContinuationFrame) error {
	c.head.parts = append(c.head.parts, f.HeaderBlockFragment()...)
	if len(c.head.parts) > 2*maxHeaders {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if f.HeadersEnded() {
		return c.begun(c.head.stream, c.head.ends, c.head.parts)
	}
	return nil
}

// begun takes the headers of a call, or the trailers of one that has begun.
func (c *conn) begun(id uint32, ends bool, block []byte) error {
	call, err := c.head.decode(c.hpack, block, c.server.options.Path) // in any case, for the table's sake
	if _, fatal := err.(http2.ConnectionError); fatal {               //nolint:errorlint // decode does not wrap it
		return err
	}
	if id%2 == 0 {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if id <= c.last.Load() {
		return c.ended(id, ends && err == nil && call.trailer)
	}
	c.last.Store(id)
	switch {
	case err == errTooLarge: //nolint:errorlint // decode does not wrap it
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeEnhanceYourCalm}
	case err != nil || call.trailer || ends && call.length > 0:
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	}
	s, err := c.open(id, call)
	if s == nil {
		return err
	}
	if !call.unary {
		c.serveOther(s)
	}
	if ends {
		return c.complete(s, nil)
	}
	return nil
}

// open makes a stream: nil where the connection is draining.
func (c *conn) open(id uint32, call call) (*stream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id > c.goneAt {
		return nil, nil // the client has been told, and sends it elsewhere
	}
	if len(c.streams) >= int(c.server.options.MaxStreams) {
		return nil, http2.StreamError{StreamID: id, Code: http2.ErrCodeRefusedStream}
	}
	var s *stream
	if n := len(c.free); n > 0 {
		s, c.free = c.free[n-1], c.free[:n-1]
	} else {
		s = &stream{}
	}
	*s = stream{id: id, call: call, body: s.body[:0], window: c.initial}
	c.streams[id] = s
	return s, nil
}

// find returns a stream from which more may come, and an error for every other.
func (c *conn) find(id uint32) (*stream, error) {
	if id > c.last.Load() {
		return nil, http2.ConnectionError(http2.ErrCodeProtocol) // idle (§ 5.1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[id]
	if s == nil || s.done {
		return nil, http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
	}
	return s, nil
}

// ended takes trailers, which end what the client sends.
func (c *conn) ended(id uint32, proper bool) error {
	s, err := c.find(id)
	if err != nil {
		return http2.ConnectionError(http2.ErrCodeStreamClosed)
	}
	if !proper {
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	}
	return c.complete(s, nil)
}

func (c *conn) data(f *http2.DataFrame) error {
	if err := c.consumed(int(f.Length)); err != nil {
		return err
	}
	s, err := c.find(f.StreamID)
	if err != nil {
		return err
	}
	b := f.Data()
	s.received += int64(len(b))
	if s.call.length >= 0 && s.received > s.call.length {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	if f.StreamEnded() {
		return c.complete(s, b)
	}
	if s.other != nil {
		return s.other.body.put(b)
	}
	if len(s.body)+len(b) > c.server.options.MaxMessage+prefix {
		c.fail(s, codeExhausted, "the message is too large")
		return nil
	}
	s.body = append(s.body, b...)
	return nil
}

// consumed counts what was received, and lets the client send more in time (§ 6.9).
func (c *conn) consumed(n int) error {
	if c.unread += n; c.unread > connWindow {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	if c.unread > connWindow/2 {
		more := c.unread
		c.write(func(b []byte) []byte { return appendWindowUpdate(b, 0, more) })
		c.unread = 0
	}
	return nil
}

// complete takes the last bytes of a call.
func (c *conn) complete(s *stream, b []byte) error {
	if s.call.length >= 0 && s.received != s.call.length {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	c.mu.Lock()
	s.done = true
	c.mu.Unlock()
	if s.other != nil {
		err := s.other.body.put(b)
		s.other.body.end()
		return err
	}
	if len(s.body) > 0 {
		s.body = append(s.body, b...)
		b = s.body
	}
	c.run(s, b)
	return nil
}

// maxAnswered is how many calls are answered before the answers are sent, though more
// calls have been read: the client works on them meanwhile.
const maxAnswered = 16

// run answers a call of the method that is called often.
func (c *conn) run(s *stream, message []byte) {
	switch {
	case len(message) > c.server.options.MaxMessage+prefix:
		c.fail(s, codeExhausted, "the message is too large")
		return
	case len(message) < prefix || int64(binary.BigEndian.Uint32(message[1:])) != int64(len(message)-prefix):
		c.fail(s, codeInternal, "the body is not one message")
		return
	case message[0] != 0:
		c.fail(s, codeInternal, "the message is compressed, and grpc-encoding does not say how")
		return
	}
	answer, rest := c.server.options.Unary.Try(message[prefix:], append(c.response[:0], 0, 0, 0, 0, 0))
	if rest == nil {
		c.response = answer
		if c.respond(s, answer) {
			c.free = append(c.free, s)
		}
		if c.answered++; c.answered >= maxAnswered {
			c.flush()
			c.answered = 0
		}
		return
	}
	c.later(s, rest)
}

// buffers lend the memory of answers that have to be waited for; most are shorter than
// what is lent at first.
var buffers = mem.DefaultBufferPool()

const responseSize = 2 << 10

// later runs the rest of a call that has to block.
func (c *conn) later(s *stream, rest func(context.Context, []byte) []byte) {
	ctx, cancel := c.ctx, context.CancelFunc(nil)
	if s.call.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, s.call.timeout)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	c.mu.Lock()
	s.cancel = cancel
	c.mu.Unlock()
	c.spawn(func() {
		defer cancel()
		response := buffers.Get(responseSize)
		defer buffers.Put(response)
		*response = rest(ctx, append((*response)[:0], 0, 0, 0, 0, 0))
		c.respond(s, *response)
	})
}

// spawn runs a handler. It waits while as many run as there may be streams: a client
// that gives up its calls at once, again and again, must not start more.
func (c *conn) spawn(handle func()) {
	c.mu.Lock()
	for c.running >= int(c.server.options.MaxStreams) && !c.closed {
		c.changed.Wait()
	}
	c.running++
	c.mu.Unlock()
	c.handlers.Go(func() {
		defer func() {
			c.mu.Lock()
			c.running--
			c.changed.Broadcast()
			c.finishWhenDone()
			c.mu.Unlock()
			c.flush()
		}()
		handle()
	})
}

// resetByClient ends a call that the client has given up.
func (c *conn) resetByClient(f *http2.RSTStreamFrame) error {
	if f.StreamID > c.last.Load() {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[f.StreamID]; s != nil {
		c.remove(s)
	}
	return nil
}

// reset ends a call for a fault of the client's.
func (c *conn) reset(id uint32, code http2.ErrCode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = appendReset(c.out, id, code)
	if s := c.streams[id]; s != nil {
		c.remove(s)
	}
}

// remove forgets a stream that has ended, and ends what still works for it. The
// lock is held.
func (c *conn) remove(s *stream) {
	delete(c.streams, s.id)
	for i, blocked := range c.blocked {
		if blocked == s {
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
			break
		}
	}
	if s.cancel != nil {
		s.cancel()
	}
	if s.other != nil {
		s.other.body.abort()
	}
	c.changed.Broadcast()
	c.finishWhenDone()
}
