package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// How long a client may take: to begin, to read what it is sent, to answer the
	// ping behind a GOAWAY, and to close after the last answer.
	prefaceTimeout = 10 * time.Second
	writeTimeout   = 30 * time.Second
	hearTimeout    = time.Second
	finishTimeout  = time.Second
	// maxFrame is the largest frame that is read or written (RFC 9113 § 6.5.2).
	maxFrame = 16 << 10
	// maxHeaders bounds the headers of a call, in bytes.
	maxHeaders = 16 << 10
	// firstWindow is what a side may send before it is told more (§ 6.9.2).
	firstWindow = 65535
	// connWindow is what a client may have sent on a connection and not been told of.
	connWindow = 16 << 20
	readBuffer = 64 << 10
)

// conn is one connection. Its goroutine reads, and answers what it can; the
// goroutines of calls that block, or of other methods, only write.
type conn struct {
	server *Server
	net    net.Conn
	in     *bufio.Reader
	framer *http2.Framer // for reading
	hpack  *hpack.Decoder
	ctx    context.Context // of the calls
	cancel context.CancelFunc

	// Of the reading goroutine alone.
	head     head
	unread   int // received, and the client was not told of it
	response []byte
	answered int       // since the last were sent
	free     []*stream // to be used again
	handlers sync.WaitGroup

	last atomic.Uint32 // the latest stream

	mu      sync.Mutex
	changed sync.Cond // for those who wait until something can be sent, or a handler ends
	streams map[uint32]*stream
	running int   // handlers
	window  int64 // what may be sent (§ 5.2)
	initial int64 // what may be sent on a new stream
	out     []byte
	spare   []byte
	writing bool
	blocked []*stream // have something to send, and no window
	goneAt  uint32    // streams after it are not served
	// A connection is draining once its client was told to send no more calls,
	// finishing once the last of them is answered, and closed.
	draining, finishing, closed bool
	timers                      []*time.Timer
}

func newConn(s *Server, accepted net.Conn) *conn {
	c := &conn{
		server: s, net: accepted, streams: map[uint32]*stream{}, window: firstWindow, initial: firstWindow, goneAt: maxStreamID,
	}
	c.changed.L = &c.mu
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.in = bufio.NewReaderSize(flushing{c}, readBuffer)
	c.framer = http2.NewFramer(nil, c.in)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(maxFrame)
	c.hpack = hpack.NewDecoder(4096, c.head.add)
	c.hpack.SetMaxStringLength(maxHeaders)
	return c
}

const maxStreamID = 1<<31 - 1

// flushing reads from the network, and sends what was written before it waits.
type flushing struct{ *conn }

func (f flushing) Read(p []byte) (int, error) {
	f.flush()
	f.answered = 0
	return f.net.Read(p)
}

// serve reads until the connection ends.
func (c *conn) serve() {
	err := c.read()
	var fault http2.ConnectionError
	if errors.As(err, &fault) {
		c.tellFault(http2.ErrCode(fault))
	}
	c.close()
	c.handlers.Wait()
}

func (c *conn) read() (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			c.server.options.Log.Error("a connection panicked and was closed", "panic", cause, "stack", string(debug.Stack()))
			err = http2.ConnectionError(http2.ErrCodeInternal)
		}
	}()
	if err := c.begin(); err != nil {
		return err
	}
	for {
		frame, err := c.framer.ReadFrame()
		if err == nil {
			err = c.handle(frame)
		}
		var fault http2.StreamError
		switch {
		case err == nil:
		case errors.As(err, &fault):
			c.reset(fault.StreamID, fault.Code)
		case errors.Is(err, http2.ErrFrameTooLarge):
			return http2.ConnectionError(http2.ErrCodeFrameSize)
		default:
			return err
		}
	}
}

// begin exchanges the prefaces (§ 3.4).
func (c *conn) begin() error {
	c.write(func(b []byte) []byte {
		b = appendSettings(b, c.server.options.MaxStreams, c.server.options.MaxMessage+maxFrame)
		return appendWindowUpdate(b, 0, connWindow-firstWindow)
	})
	if err := c.net.SetReadDeadline(time.Now().Add(prefaceTimeout)); err != nil { //nolint:forbidigo // a connection is by the machine's clock
		return err
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c.in, preface); err != nil {
		return err
	}
	if string(preface) != http2.ClientPreface {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	frame, err := c.framer.ReadFrame()
	if err != nil {
		return err
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok || settings.IsAck() {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if err := c.net.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return c.settings(settings)
}

func (c *conn) handle(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		return c.data(f)
	case *http2.HeadersFrame:
		return c.headers(f)
	case *http2.ContinuationFrame:
		return c.continuation(f)
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		c.ping(f)
	case *http2.RSTStreamFrame:
		return c.resetByClient(f)
	case *http2.PriorityFrame:
		if f.StreamDep == f.StreamID {
			return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
		}
	case *http2.PushPromiseFrame: // a client must not push (§ 8.4)
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil // GOAWAY: its calls are answered; unknown types are passed over (§ 4.1)
}

func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		if s.ID != http2.SettingInitialWindowSize {
			return nil // headers are sent without a table, and frames of the least size
		}
		more := int64(s.Val) - c.initial
		c.initial = int64(s.Val)
		for _, stream := range c.streams {
			if stream.window += more; stream.window > maxStreamID {
				return http2.ConnectionError(http2.ErrCodeFlowControl)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.out = appendFrameHeader(c.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
	c.pump()
	return nil
}

// ping answers a ping, or takes the answer to the one that goAway sent.
func (c *conn) ping(f *http2.PingFrame) {
	if !f.IsAck() {
		c.write(func(b []byte) []byte {
			b = appendFrameHeader(b, len(f.Data), http2.FramePing, http2.FlagPingAck, 0)
			return append(b, f.Data[:]...)
		})
		return
	}
	c.heard()
}

// goAway asks the client to send no more calls (§ 6.8). Those it has sent by then
// are answered: the first GOAWAY names no last stream, and once the client has
// answered the ping behind it, the second one does.
func (c *conn) goAway() {
	c.mu.Lock()
	if !c.draining && !c.closed {
		c.draining = true
		c.out = appendGoAway(c.out, maxStreamID, http2.ErrCodeNo)
		c.out = appendFrameHeader(c.out, 8, http2.FramePing, 0, 0)
		c.out = append(c.out, "draining"...)
		c.timers = append(c.timers, time.AfterFunc(hearTimeout, c.heard))
	}
	c.mu.Unlock()
	c.flush()
}

// heard is called when the client has read the first GOAWAY, or does not say so in
// time: what it sent before has arrived.
func (c *conn) heard() {
	c.mu.Lock()
	if c.draining && !c.closed && c.goneAt == maxStreamID {
		c.goneAt = c.last.Load()
		c.out = appendGoAway(c.out, c.goneAt, http2.ErrCodeNo)
		c.finishWhenDone()
	}
	c.mu.Unlock()
	c.flush()
}

// finishWhenDone ends a draining connection after its last call: flush does it,
// after it has sent the answer. The lock is held.
func (c *conn) finishWhenDone() {
	if c.draining && !c.finishing && c.goneAt != maxStreamID && len(c.streams) == 0 && c.running == 0 {
		c.finishing = true
		go c.flush()
	}
}

// finish says that no more comes, and leaves it to the client to close: a close with
// unread bytes would be a reset, and could overtake the last answer.
func (c *conn) finish() {
	_ = c.net.SetReadDeadline(time.Now().Add(finishTimeout)) //nolint:forbidigo // a connection is by the machine's clock
	if half, ok := c.net.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		c.close()
	}
}

// tellFault names the client's fault, and ends what is sent.
func (c *conn) tellFault(code http2.ErrCode) {
	c.mu.Lock()
	c.out = appendGoAway(c.out, c.last.Load(), code)
	c.finishing = true
	c.mu.Unlock()
	c.flush()
	_, _ = io.CopyN(io.Discard, c.net, 1<<20) // until the client closes, or it takes too long
}

// close ends the connection and the calls on it.
func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	for _, timer := range c.timers {
		timer.Stop()
	}
	for _, s := range c.streams {
		if s.other != nil {
			s.other.body.abort()
		}
	}
	c.cancel()
	_ = c.net.Close() // nobody is there to be told
	c.changed.Broadcast()
}

var errClosed = fmt.Errorf("transport: the connection is closed: %w", net.ErrClosed)
