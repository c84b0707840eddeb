package testenv_test

import (
	"io"
	"net"
	"testing"
	"time"

	"postern/internal/testenv"
)

// echo is a server that says what it hears.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); io.Copy(conn, conn) }()
		}
	}()
	return listener.Addr().String()
}

// say sends a word and waits for it.
func say(t *testing.T, conn net.Conn) (time.Duration, error) {
	t.Helper()
	begin := time.Now()
	conn.SetDeadline(begin.Add(5 * time.Second))
	if _, err := conn.Write([]byte("word")); err != nil {
		return 0, err
	}
	_, err := io.ReadFull(conn, make([]byte, 4))
	return time.Since(begin), err
}

func dial(t *testing.T, p *testenv.Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestProxyIsSlowCutAndWellAgain(t *testing.T) {
	p, err := testenv.NewProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	conn := dial(t, p)
	if took, err := say(t, conn); err != nil || took > 200*time.Millisecond {
		t.Fatalf("without faults: %v, %v", took, err)
	}

	for _, delay := range []time.Duration{500 * time.Millisecond, 300 * time.Millisecond} {
		if err := p.Latency(delay); err != nil {
			t.Fatal(err)
		}
		if took, err := say(t, conn); err != nil || took < delay {
			t.Errorf("with %v of latency on an open connection: %v, %v", delay, took, err)
		}
	}

	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	if took, err := say(t, conn); err != nil || took > 200*time.Millisecond {
		t.Errorf("healed: %v, %v", took, err)
	}

	p.Cut()
	if _, err := say(t, conn); err == nil {
		t.Error("an open connection survives the cut")
	}
	if other, err := net.Dial("tcp", p.Addr); err == nil {
		other.Close()
		t.Error("a cut proxy takes connections")
	}

	if err := p.Heal(); err != nil {
		t.Fatal(err)
	}
	if _, err := say(t, dial(t, p)); err != nil {
		t.Errorf("healed after a cut: %v", err)
	}
}
