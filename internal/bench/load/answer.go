package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/protobuf/encoding/protowire"
)

// read takes what the server sends until the connection or the load ends. It writes
// when it has read all that is there, so that one write serves many requests.
func (c *connection) read() {
	for {
		frame, err := c.framer.ReadFrame()
		if err == nil {
			err = c.handle(frame)
		}
		if err != nil {
			select {
			case <-c.run.done:
			default:
				c.run.fail(err)
			}
			return
		}
	}
}

func (c *connection) handle(frame http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	switch f := frame.(type) {
	case *http2.DataFrame:
		err = c.handleData(f)
	case *http2.HeadersFrame:
		err = c.handleHeaders(f)
	case *http2.SettingsFrame:
		err = c.handleSettings(f)
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.window += int64(f.Increment)
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			err = c.framer.WritePing(true, f.Data)
		}
	case *http2.RSTStreamFrame:
		err = c.end(f.StreamID, Failed)
	case *http2.GoAwayFrame:
		err = errGone
	case *http2.ContinuationFrame:
		err = errors.New("the server splits its headers, and this client does not read that")
	}
	if err == nil && c.reader.Buffered() == 0 {
		c.pump()
	}
	return err
}

func (c *connection) handleSettings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if limit, ok := f.Value(http2.SettingMaxConcurrentStreams); ok {
		c.limit = int(min(limit, 1<<20))
	}
	if size, ok := f.Value(http2.SettingInitialWindowSize); ok && size < room {
		return fmt.Errorf("the server takes messages of %d bytes; %d are needed", size, room)
	}
	return c.framer.WriteSettingsAck()
}

func (c *connection) stream(id uint32) (*stream, error) {
	n := int(id-1) / 2
	if id%2 == 0 || n >= len(c.streams) {
		return nil, fmt.Errorf("the server answers in a stream %d that nobody opened", id)
	}
	return &c.streams[n], nil
}

func (c *connection) handleData(f *http2.DataFrame) error {
	s, err := c.stream(f.StreamID)
	if err != nil {
		return err
	}
	if c.received += len(f.Data()); c.received > connectionWindow/2 {
		if err := c.framer.WriteWindowUpdate(0, uint32(c.received)); err != nil {
			return err
		}
		c.received = 0
	}
	message := f.Data()
	if len(s.partial) > 0 || !whole(message) {
		s.partial = append(s.partial, message...)
		message = s.partial
	}
	if whole(message) {
		s.answer.Verdict = judge(message[5:])
		s.partial = nil
	}
	return nil
}

// whole reports whether a framed message is there to its end.
func whole(frame []byte) bool {
	return len(frame) >= 5 && len(frame) == 5+int(binary.BigEndian.Uint32(frame[1:5]))
}

func (c *connection) handleHeaders(f *http2.HeadersFrame) error {
	if !f.HeadersEnded() {
		return errors.New("the server splits its headers, and this client does not read that")
	}
	c.status = ""
	if _, err := c.decoder.Write(f.HeaderBlockFragment()); err != nil {
		return err
	}
	if !f.StreamEnded() {
		return nil
	}
	s, err := c.stream(f.StreamID)
	if err != nil {
		return err
	}
	verdict := s.answer.Verdict
	if c.status != "0" {
		verdict = Failed
	}
	return c.end(f.StreamID, verdict)
}

// end closes the stream.
func (c *connection) end(id uint32, v Verdict) error {
	s, err := c.stream(id)
	if err != nil || s.ended {
		return err
	}
	s.ended = true
	s.answer.Verdict = v
	s.answer.Took = time.Since(c.run.began) - s.answer.At
	c.open--
	c.run.finish()
	return nil
}

// The fields of a CheckResponse that tell.
const (
	fieldStatus = 1 // google.rpc.Status, whose field 1 is the code
	fieldDenied = 2
	fieldOK     = 3
)

// judge reads a CheckResponse as Envoy does: the status alone decides, where there is
// one; the answer must fit it.
func judge(message []byte) Verdict {
	code, denied, ok := uint64(0), false, false
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return Failed
		}
		value := message[n:]
		size := protowire.ConsumeFieldValue(number, kind, value)
		if size < 0 {
			return Failed
		}
		switch number {
		case fieldStatus:
			body, _ := protowire.ConsumeBytes(value)
			code = statusCode(body)
		case fieldDenied:
			denied = true
		case fieldOK:
			ok = true
		}
		message = value[size:]
	}
	switch {
	case code == 0 && ok && !denied:
		return Allowed
	case code != 0 && denied && !ok:
		return Denied
	}
	return Failed
}

// statusCode is field 1 of a google.rpc.Status; what cannot be read is no OK.
func statusCode(message []byte) uint64 {
	const unknown = 2
	var code uint64
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return unknown
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return unknown
		}
		if number == 1 && kind == protowire.VarintType {
			code, _ = protowire.ConsumeVarint(message[n:])
		}
		message = message[n+size:]
	}
	return code
}
