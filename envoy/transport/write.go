package transport

import (
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// maxUnsent is how much may wait to be written before no more is read.
const maxUnsent = 1 << 20

// write appends frames.
func (c *conn) write(frames func(b []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = frames(c.out)
}

// flush sends what was written. One goroutine sends at a time, and whatever others
// write meanwhile; the rest need not wait, unless too much is unsent.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		for len(c.out) > maxUnsent && !c.closed {
			c.changed.Wait()
		}
		return
	}
	c.writing = true
	for len(c.out) > 0 && !c.closed {
		sending := c.out
		c.out = c.spare[:0]
		c.mu.Unlock()
		err := c.send(sending)
		c.mu.Lock()
		c.spare = sending
		c.changed.Broadcast()
		if err != nil {
			c.mu.Unlock()
			c.close()
			c.mu.Lock()
		}
	}
	c.writing = false
	if c.finishing && !c.closed {
		c.mu.Unlock()
		c.finish()
		c.mu.Lock()
	}
}

func (c *conn) send(b []byte) error {
	if err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil { //nolint:forbidigo // a connection is by the machine's clock
		return err
	}
	_, err := c.net.Write(b)
	return err
}

// respond sends a message, with its prefix, and ends the call. It reports whether
// all was written, so that the stream may be used again.
func (c *conn) respond(s *stream, message []byte) bool {
	binary.BigEndian.PutUint32(message[1:], uint32(len(message)-prefix)) //nolint:gosec // far smaller
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[s.id] != s {
		return false // the client has given it up
	}
	c.out = appendBlock(c.out, s.id, okHeaders, 0)
	n := int64(len(message))
	if len(c.blocked) == 0 && n <= maxFrame && n <= c.window && n <= s.window {
		c.window -= n
		c.out = appendFrameHeader(c.out, len(message), http2.FrameData, 0, s.id)
		c.out = append(c.out, message...)
		c.out = appendBlock(c.out, s.id, okTrailers, http2.FlagHeadersEndStream)
		delete(c.streams, s.id)
		c.finishWhenDone()
		return true
	}
	s.pending, s.trailers = slices.Clone(message), okTrailers
	c.blocked = append(c.blocked, s)
	c.pump()
	return false
}

// fail ends a call with a gRPC status and nothing else.
func (c *conn) fail(s *stream, code, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	block := encode(nil, ":status", "200")
	block = encode(block, "content-type", "application/grpc")
	block = encode(block, "grpc-status", code)
	block = encode(block, "grpc-message", why)
	c.end(s, block)
}

// end sends the last headers of a call. A client that has more to send is told that
// nobody reads it (§ 8.1). The lock is held.
func (c *conn) end(s *stream, block []byte) {
	c.out = appendBlock(c.out, s.id, block, http2.FlagHeadersEndStream)
	if !s.done {
		c.out = appendReset(c.out, s.id, http2.ErrCodeNo)
	}
	c.remove(s)
}

// pump sends what the windows allow, each call in its turn. The lock is held.
func (c *conn) pump() {
	for i := 0; i < len(c.blocked); {
		s := c.blocked[i]
		for len(s.pending) > 0 && c.window > 0 && s.window > 0 {
			n := min(int64(len(s.pending)), maxFrame, c.window, s.window)
			c.out = appendFrameHeader(c.out, int(n), http2.FrameData, 0, s.id)
			c.out = append(c.out, s.pending[:n]...)
			s.pending = s.pending[n:]
			s.window -= n
			c.window -= n
		}
		switch {
		case len(s.pending) > 0:
			i++
		case s.trailers != nil:
			c.end(s, s.trailers) // and takes it from the blocked ones
		default:
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
		}
	}
	c.changed.Broadcast()
}

func (c *conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.StreamID == 0 {
		if c.window += int64(f.Increment); c.window > maxStreamID {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		c.pump()
		return nil
	}
	if f.StreamID > c.last.Load() {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	s := c.streams[f.StreamID]
	if s == nil {
		return nil
	}
	if s.window += int64(f.Increment); s.window > maxStreamID {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeFlowControl}
	}
	c.pump()
	return nil
}

// The headers of nearly every answer.
var (
	okHeaders  = encode(encode(nil, ":status", "200"), "content-type", "application/grpc")
	okTrailers = encode(nil, "grpc-status", "0")
)

// encode appends a header that goes into no table (RFC 7541 § 6.2), so that what is
// written does not depend on what was written before.
func encode(b []byte, name, value string) []byte {
	if name == ":status" && value == "200" {
		return append(b, 0x88) // § 6.1, from the table that is always there
	}
	b = append(b, 0)
	b = appendString(b, name)
	return appendString(b, value)
}

// appendString writes a string as it is (RFC 7541 § 5.2).
func appendString(b []byte, s string) []byte {
	const most = 0x7f
	n := len(s)
	if n < most {
		b = append(b, byte(n))
	} else {
		b = append(b, most)
		for n -= most; n >= 0x80; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		b = append(b, byte(n))
	}
	return append(b, s...)
}

func appendFrameHeader(b []byte, length int, kind http2.FrameType, flags http2.Flags, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags)) //nolint:gosec // at most 16 KiB
	return binary.BigEndian.AppendUint32(b, stream)
}

func appendBlock(b []byte, stream uint32, block []byte, flags http2.Flags) []byte {
	b = appendFrameHeader(b, len(block), http2.FrameHeaders, flags|http2.FlagHeadersEndHeaders, stream)
	return append(b, block...)
}

func appendSettings(b []byte, streams uint32, window int) []byte {
	b = appendFrameHeader(b, 3*6, http2.FrameSettings, 0, 0)
	for _, s := range []http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: streams},
		{ID: http2.SettingInitialWindowSize, Val: uint32(window)}, //nolint:gosec // some megabytes
		{ID: http2.SettingMaxHeaderListSize, Val: maxHeaders},
	} {
		b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
		b = binary.BigEndian.AppendUint32(b, s.Val)
	}
	return b
}

func appendWindowUpdate(b []byte, stream uint32, more int) []byte {
	b = appendFrameHeader(b, 4, http2.FrameWindowUpdate, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(more)) //nolint:gosec // some megabytes
}

func appendReset(b []byte, stream uint32, code http2.ErrCode) []byte {
	b = appendFrameHeader(b, 4, http2.FrameRSTStream, 0, stream)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}

func appendGoAway(b []byte, last uint32, code http2.ErrCode) []byte {
	b = appendFrameHeader(b, 8, http2.FrameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}
