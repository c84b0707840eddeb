package demo

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/testenv"
)

func options(t *testing.T, state string) Options {
	t.Helper()
	root, err := testenv.Root()
	if err != nil {
		t.Fatal(err)
	}
	offset, err := testenv.FreeOffset(Ports()...)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Root: root, State: state, Offset: offset, Output: io.Discard}
}

func startDemo(t *testing.T, o Options) *Demo {
	t.Helper()
	d, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	return d
}

func status(t *testing.T, url, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

func TestSecondRunKeepsWhatStillWorksAndRepairsWhatDoesNot(t *testing.T) {
	state := t.TempDir()
	t.Setenv("POSTERN_ADMIN_KEY", "a-stale-key-from-another-terminal")
	o := options(t, state)
	d := startDemo(t, o)
	first := d.Variables()
	if code := status(t, first["ARTOS_URL"]+"/api/v1/templates/", first["ARTOS_TOKEN"]); code != http.StatusOK {
		t.Errorf("the artos token of the first run: %d", code)
	}
	d.Stop()
	if taken := testenv.CheckFree(mustPorts(t, d.layout)...); len(taken) > 0 {
		t.Errorf("after the stop the ports %v are still taken", taken)
	}

	file := filepath.Join(state, "demo.env")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := strings.Replace(string(text), first["AUTHENTA_API_KEY"], "api_spoilt", 1)
	if err := os.WriteFile(file, []byte(spoilt), 0o600); err != nil {
		t.Fatal(err)
	}
	second := startDemo(t, o).Variables()
	for name, value := range first {
		if changed := second[name] != value; changed != (name == "AUTHENTA_API_KEY") {
			t.Errorf("%s: changed by the second run: %v", name, changed)
		}
	}
	if code := status(t, second["AUTHENTA_URL"]+"/api/v1/jobs", second["AUTHENTA_API_KEY"]); code != http.StatusOK {
		t.Errorf("the repaired key: %d", code)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("demo.env: %v, %v", info.Mode(), err)
	}
}

func mustPorts(t *testing.T, l layout) []int {
	t.Helper()
	ports, err := l.ports()
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

func TestDemoRunsBehindABareEnvoyTooAndIsReadyLast(t *testing.T) {
	o := options(t, t.TempDir())
	o.Envoy = "plain.yaml"
	reader, writer := io.Pipe()
	o.Output = writer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, o)
		_ = writer.Close()
	}()
	var output bytes.Buffer
	for chunk := make([]byte, 4096); !strings.HasSuffix(output.String(), Ready+"\n"); {
		n, err := reader.Read(chunk)
		output.Write(chunk[:n])
		if err != nil {
			t.Fatalf("it ended before it was ready: %v\n%s", <-ended, output.String())
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("told to stop, it failed: %v", err)
	}
	for _, a := range apis() {
		if !strings.Contains(output.String(), "$"+a.variable+"_URL") {
			t.Errorf("no command for %s is printed", a.profile)
		}
	}
}

func TestChildThatDiesEndsTheDemoAndNamesItsLog(t *testing.T) {
	o := options(t, t.TempDir())
	d := startDemo(t, o)
	if err := syscall.Kill(d.envoyPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.failed:
		if !strings.Contains(err.Error(), filepath.Join(o.State, "envoy.log")) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody noticed")
	}
}

func TestPortInUseIsAnErrorBeforeAnythingStarts(t *testing.T) {
	o := options(t, t.TempDir())
	listener, err := net.Listen("tcp", layout{offset: o.Offset}.address(10003))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "PORT_OFFSET") {
		t.Errorf("got %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(o.State, "*.log")); err != nil || len(left) > 0 {
		t.Errorf("something was started: %v %v", left, err)
	}
}

func TestOffsetOutOfRangeIsRefused(t *testing.T) {
	for _, offset := range []int{-9001, 60000} {
		if err := Run(t.Context(), Options{Root: t.TempDir(), Offset: offset}); err == nil || !strings.Contains(err.Error(), "PORT_OFFSET") {
			t.Errorf("%d: got %v", offset, err)
		}
	}
}

func TestVariablesSurviveTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.env")
	want := []variable{{"PLAIN", "abc.def-_=="}, {"QUOTED", "it's $HOME `x` \\"}}
	if err := writeVariables(path, want); err != nil {
		t.Fatal(err)
	}
	have, err := readVariables(path)
	if err != nil || len(have) != 2 || have["PLAIN"] != want[0].value || have["QUOTED"] != want[1].value {
		t.Errorf("got %q, %v", have, err)
	}
	if err := writeVariables(path, []variable{{"EMPTY", ""}}); err == nil {
		t.Error("a variable without a value was written")
	}
	if none, err := readVariables(path + ".none"); err != nil || len(none) != 0 {
		t.Errorf("got %q, %v", none, err)
	}
}
