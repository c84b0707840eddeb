package transport_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"postern/envoy/transport"
)

// client speaks frames.
type client struct {
	net.Conn
	*http2.Framer
	headers *hpack.Encoder
	block   bytes.Buffer
}

// connect exchanges the prefaces with a server.
func (s *served) connect(t testing.TB, settings ...http2.Setting) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{Conn: conn, Framer: http2.NewFramer(conn, conn)}
	c.headers = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return c
}

// begin sends the headers of a call.
func (c *client) begin(t testing.TB, stream uint32, more ...string) {
	t.Helper()
	c.block.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "a", "content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(fields); i += 2 {
		if err := c.headers.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
}

// status reads up to the trailers of a stream and returns its grpc-status.
func (c *client) status(t testing.TB, stream uint32) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f, ok := frame.(*http2.MetaHeadersFrame); ok && f.StreamID == stream && f.StreamEnded() {
			for _, field := range f.Fields {
				if field.Name == "grpc-status" {
					return field.Value
				}
			}
		}
	}
}

func TestAMessageInPiecesIsOneMessage(t *testing.T) {
	c := serve(t, &echo{}, nil).connect(t)
	c.begin(t, 1)
	c.begin(t, 3, "x", "another call between")
	message := append([]byte{0, 0, 0, 0, 3}, "abc"...)
	for i := range message {
		if err := c.WriteData(1, i == len(message)-1, message[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.status(t, 1); got != "0" {
		t.Errorf("status %s", got)
	}
	if err := c.WriteDataPadded(3, true, message, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	if got := c.status(t, 3); got != "0" {
		t.Errorf("with padding: status %s", got)
	}
}

func TestABrokenBodyIsAnErrorOfItsCallAlone(t *testing.T) {
	c := serve(t, &echo{}, nil).connect(t)
	for i, body := range []string{"", "\x00", "\x00\x00\x00\x00\x02a", "\x00\x00\x00\x00\x00a", "\x01\x00\x00\x00\x01a", "\x00\xff\xff\xff\xffa"} {
		stream := uint32(2*i + 1)
		c.begin(t, stream)
		if err := c.WriteData(stream, true, []byte(body)); err != nil {
			t.Fatal(err)
		}
		if got := c.status(t, stream); got != "13" {
			t.Errorf("%q: status %s", body, got)
		}
	}
}

// What a client sent before, in the same words, is read again as it was; a change of
// the table must not be missed.
func TestHeadersAreReadAnewWhenTheTableChanges(t *testing.T) {
	c := serve(t, &echo{}, nil).connect(t)
	message := []byte("\x00\x00\x00\x00\x01a")
	stream := uint32(1)
	for _, more := range [][]string{nil, nil, nil, {":x", "malformed"}, nil, {"grpc-encoding", "gzip"}, nil, nil, {"y", strings.Repeat("z", 3000)}, nil, nil, {"grpc-encoding", "gzip"}, {"grpc-encoding", "gzip"}, {"grpc-encoding", "gzip"}, nil} {
		c.begin(t, stream, more...)
		if len(more) > 0 && more[0] == ":x" {
			stream += 2
			continue
		}
		if err := c.WriteData(stream, true, message); err != nil {
			t.Fatal(err)
		}
		want := "0"
		if len(more) > 0 && more[0] == "grpc-encoding" {
			want = "12" // the handler's, which does not know the method
		}
		if got := c.status(t, stream); got != want {
			t.Errorf("stream %d with %q: status %s, want %s", stream, more, got, want)
		}
		stream += 2
	}
}

// stopping answers as echo does, but waits before it reads on from a message "stop".
type stopping struct {
	echo
	goOn chan struct{}
}

func (s *stopping) Try(request, response []byte) ([]byte, func(context.Context, []byte) []byte) {
	if string(request) == "stop" {
		<-s.goOn
	}
	return s.echo.Try(request, response)
}

// Calls that arrive together need not all be answered before the first answers are
// sent.
func TestAnswersAreSentWhileMoreCallsAreAnswered(t *testing.T) {
	unary := &stopping{goOn: make(chan struct{})}
	c := serve(t, nil, func(o *transport.Options) { o.Unary = unary }).connect(t)
	goOn := sync.OnceFunc(func() { close(unary.goOn) })
	t.Cleanup(goOn) // or the server would not stop
	c.begin(t, 1)   // alone, so that the server has seen the prefaces
	if err := c.WriteData(1, true, []byte("\x00\x00\x00\x00\x01a")); err != nil {
		t.Fatal(err)
	}
	c.status(t, 1)
	var together bytes.Buffer
	to := http2.NewFramer(&together, nil)
	for stream := uint32(3); stream < 63; stream += 2 {
		message := "\x00\x00\x00\x00\x01a"
		if stream == 61 {
			message = "\x00\x00\x00\x00\x04stop"
		}
		_ = to.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: callBlock(), EndHeaders: true})
		_ = to.WriteData(stream, true, []byte(message))
	}
	if _, err := c.Write(together.Bytes()); err != nil {
		t.Fatal(err)
	}
	if got := c.status(t, 3); got != "0" {
		t.Errorf("status %s", got)
	}
	goOn()
	if got := c.status(t, 61); got != "0" {
		t.Errorf("status %s", got)
	}
}

func TestAClientThatDoesNotReadHoldsUpNobodyElse(t *testing.T) {
	s := serve(t, &echo{large: 200_000}, nil)
	greedy := s.connect(t, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
	if err := greedy.WriteWindowUpdate(0, 1<<31-1-65535); err != nil {
		t.Fatal(err)
	}
	_ = greedy.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	sent := 0
	for stream := uint32(1); sent < 100_000; stream += 2 {
		greedy.block.Reset()
		if greedy.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: callBlock(), EndHeaders: true}) != nil ||
			greedy.WriteData(stream, true, []byte("\x00\x00\x00\x00\x01a")) != nil {
			break // the server reads no more, because it cannot write
		}
		sent++
	}
	if sent == 100_000 {
		t.Error("the server takes calls without end from a client that reads no answers")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := call(ctx, s.dial(t), []byte("x")); err != nil {
		t.Errorf("another client: %v", err)
	}
	_ = greedy.Close()
}

// callBlock are the headers of a call, without a table.
func callBlock() []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", path}, {"content-type", "application/grpc"}, {"te", "trailers"}} {
		_ = e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: true})
	}
	return b.Bytes()
}

// piped is a listener of one connection within the process.
type piped struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *piped) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *piped) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *piped) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzAConnection: no bytes make the server panic, nor hold a connection open after
// its client has gone.
func FuzzAConnection(f *testing.F) {
	frames := func(write func(*http2.Framer)) []byte {
		var b bytes.Buffer
		framer := http2.NewFramer(&b, nil)
		framer.AllowIllegalWrites = true
		write(framer)
		return b.Bytes()
	}
	headers := http2.HeadersFrameParam{StreamID: 1, BlockFragment: callBlock(), EndHeaders: true}
	for _, write := range []func(*http2.Framer){
		func(f *http2.Framer) {
			_ = f.WriteHeaders(headers)
			_ = f.WriteData(1, true, []byte("\x00\x00\x00\x00\x01a"))
		},
		func(f *http2.Framer) {
			_ = f.WriteHeaders(headers)
			_ = f.WriteRSTStream(1, 0)
			_ = f.WriteData(1, true, nil)
		},
		func(f *http2.Framer) {
			_ = f.WritePing(false, [8]byte{1})
			_ = f.WriteSettingsAck()
			_ = f.WriteGoAway(1, 0, nil)
		},
		func(f *http2.Framer) {
			_ = f.WriteWindowUpdate(0, 1<<31-1)
			_ = f.WriteWindowUpdate(3, 5)
			_ = f.WritePriority(5, http2.PriorityParam{})
		},
		func(f *http2.Framer) {
			_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
			_ = f.WriteHeaders(headers)
		},
	} {
		f.Add(frames(write))
	}
	var log bytes.Buffer
	server, err := transport.NewServer(transport.Options{
		Path: path, Unary: &echo{}, Others: http.NotFoundHandler(), MaxMessage: 1000, MaxStreams: 10,
		MaxAge: time.Hour, MaxAgeGrace: time.Minute, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		f.Fatal(err)
	}
	listener := &piped{conns: make(chan net.Conn), done: make(chan struct{})}
	go func() { _ = server.Serve(listener) }()
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		listener.conns <- far
		_ = near.SetDeadline(time.Now().Add(5 * time.Second))
		ended := make(chan error, 1)
		go func() { _, err := io.Copy(io.Discard, near); ended <- err }()
		_, _ = near.Write(append([]byte(http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), b...)) // it may end the connection before it has read all
		_, _ = near.Write([]byte("\x00\x00\x00\x04\x01\x00\x00\x00\x00not HTTP/2 at all, far beyond a frame"))
		_ = near.Close()
		<-ended
		if strings.Contains(log.String(), "panicked") {
			t.Fatalf("%q: %s", b, log.String())
		}
	})
}
