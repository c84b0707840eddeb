package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// The windows of what may be under way. room is what must be left in the server's
// window for a request to be sent: no message is larger.
const (
	streamWindow     = 1 << 20
	connectionWindow = 1 << 30
	room             = 8 << 10
)

// connection is one to the server. Its reader and its writer share what mu guards.
type connection struct {
	run    *run
	number int
	net    net.Conn
	reader *bufio.Reader

	mu       sync.Mutex
	writer   *bufio.Writer
	framer   *http2.Framer
	headers  [2][]byte // of the first request, and of all others
	window   int64     // bytes that the server takes
	limit    int       // streams that it takes at once
	open     int       // streams
	streams  []stream  // by their number
	received int       // bytes since the last word about them

	decoder *hpack.Decoder
	status  string // grpc-status of the block that was decoded last
}

// stream is one request.
type stream struct {
	answer  Answer
	partial []byte // of a message that did not come in one piece
	ended   bool
}

func (r *run) connect(ctx context.Context, number int) (*connection, error) {
	network, address := "tcp", r.Address
	if path, unix := strings.CutPrefix(address, "unix://"); unix {
		network, address = "unix", path
	}
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	c := &connection{
		run: r, number: number, net: conn,
		reader: bufio.NewReaderSize(conn, 64<<10), writer: bufio.NewWriterSize(conn, 64<<10),
		window: 65535, limit: math.MaxInt32, streams: make([]stream, 0, r.Requests/r.Connections+1),
	}
	c.framer = http2.NewFramer(c.writer, c.reader)
	c.framer.SetReuseFrames()
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == "grpc-status" {
			c.status = f.Value
		}
	})
	c.headers = encodeHeaders(r.Method)
	if err := c.greet(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("load: %w", err)
	}
	return c, nil
}

// encodeHeaders renders the request's headers twice: the server's table has them
// after the first time, as with every client that lives for longer.
func encodeHeaders(method string) (blocks [2][]byte) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := range blocks {
		block.Reset()
		for _, h := range [][2]string{
			{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "postern_check"},
			{"te", "trailers"}, {"grpc-timeout", "500m"}, {"content-type", "application/grpc"},
			{"x-envoy-internal", "true"}, {"x-forwarded-for", "127.0.0.1"},
		} {
			_ = encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}) // a buffer takes everything
		}
		blocks[i] = bytes.Clone(block.Bytes())
	}
	return blocks
}

func (c *connection) greet() error {
	_, _ = c.writer.WriteString(http2.ClientPreface) // its error stays, and Flush returns it
	_ = c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: streamWindow})
	_ = c.framer.WriteWindowUpdate(0, connectionWindow-65535)
	return c.writer.Flush()
}

// write begins, and where there is a rate keeps it.
func (c *connection) write() {
	if c.run.Rate > 0 {
		c.keepRate()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pump()
}

// keepRate sends what is due. It sleeps in the kernel: Go's own timers are a
// millisecond late when nothing else happens.
func (c *connection) keepRate() {
	for {
		c.mu.Lock()
		c.pump()
		due, more := c.due()
		c.mu.Unlock()
		if !more {
			return
		}
		select {
		case <-c.run.done:
			return
		default:
		}
		pause := max(due-time.Since(c.run.began), 20*time.Microsecond)
		_ = syscall.Nanosleep(&syscall.Timespec{Sec: int64(pause / time.Second), Nsec: int64(pause % time.Second)}, nil)
	}
}

// due is when the next request of this connection is, at the rate; the connections
// take turns.
func (c *connection) due() (at time.Duration, more bool) {
	index := len(c.streams)*c.run.Connections + c.number
	return time.Duration(float64(index) / c.run.Rate * float64(time.Second)), index < c.run.Requests
}

// pump sends what should be and may be sent; mu is held.
func (c *connection) pump() {
	for c.open < c.limit && c.window >= room {
		at, index, ok := c.claim()
		if !ok {
			break
		}
		if err := c.send(at, index); err != nil {
			c.run.fail(err)
			return
		}
	}
	if err := c.writer.Flush(); err != nil {
		c.run.fail(err)
	}
}

// claim takes the next request, if there is one now.
func (c *connection) claim() (at time.Duration, index int, ok bool) {
	now := time.Since(c.run.began)
	if c.run.Rate > 0 {
		at, more := c.due()
		return at, len(c.streams)*c.run.Connections + c.number, more && at <= now
	}
	if c.open >= c.run.Streams {
		return 0, 0, false
	}
	index = int(c.run.next.Add(1) - 1)
	return now, index, index < c.run.Requests
}

func (c *connection) send(at time.Duration, index int) error {
	frame, class := c.run.Message(index)
	if len(frame) > room {
		return fmt.Errorf("a message of %d bytes; %d are the most", len(frame), room)
	}
	block := c.headers[min(1, len(c.streams))]
	id := uint32(2*len(c.streams) + 1)
	c.streams = append(c.streams, stream{answer: Answer{At: at, Class: uint8(class)}})
	c.open++
	c.window -= int64(len(frame))
	if err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true}); err != nil {
		return err
	}
	return c.framer.WriteData(id, true, frame)
}

// answers are those of the streams.
func (c *connection) answers() []Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Answer, len(c.streams))
	for i := range c.streams {
		all[i] = c.streams[i].answer
	}
	return all
}
