package testenv_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/internal/testenv"
)

func start(t *testing.T, script string) *testenv.Process {
	t.Helper()
	p, err := testenv.Start(testenv.Command{
		Name: "script", Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "script.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestStopAsksFirstAndWaitsForTheEnd(t *testing.T) {
	p := start(t, "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")
	waitForLog(t, p, "up")
	if code := p.Stop(5 * time.Second); code != 3 {
		t.Errorf("exit code %d, want the script's own 3", code)
	}
}

func TestStopEndsAProcessThatWillNot(t *testing.T) {
	p := start(t, "trap '' TERM; echo up; while :; do sleep 0.05; done")
	waitForLog(t, p, "up")
	begin := time.Now()
	if code := p.Stop(200 * time.Millisecond); code != -1 {
		t.Errorf("exit code %d, want -1 for a process that was ended", code)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if p.Stop(time.Second) != -1 {
		t.Error("stopping again changes the outcome")
	}
}

func TestProcessThatEndsIsNoticedWhileWaitingForItsPort(t *testing.T) {
	p := start(t, "echo no luck; exit 7")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	err = p.WaitForPort(t.Context(), "tcp", address)
	if err == nil || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), p.Log()) {
		t.Errorf("got %v", err)
	}
}

func TestWaitingForAPortEndsWithTheContext(t *testing.T) {
	p := start(t, "sleep 60")
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.WaitForPort(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
		t.Error("nobody listens, yet it waited successfully")
	}
}

func TestTakenPortsAreNamed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := listener.Addr().(*net.TCPAddr).Port
	free, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	if have := testenv.CheckFree(free, taken); !slices.Equal(have, []int{taken}) {
		t.Errorf("taken: %v, want %d alone", have, taken)
	}
}

func waitForLog(t *testing.T, p *testenv.Process, text string) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(10 * time.Millisecond) {
		if log, err := os.ReadFile(p.Log()); err == nil && strings.Contains(string(log), text) {
			return
		}
	}
	t.Fatalf("%q never came", text)
}
