package transport_test

import (
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"

	"postern/envoy/transport"
	"postern/internal/testenv"
)

// TestTheProtocolIsSpokenAsSpecified runs h2spec, a conformance suite for RFC 9113
// and RFC 7541.
func TestTheProtocolIsSpokenAsSpecified(t *testing.T) {
	// An answer before the whole request was read would hide what is wrong with the rest.
	s := serve(t, &echo{}, func(o *transport.Options) {
		o.Others = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				_, _ = io.WriteString(w, "read")
			}
		})
	})
	root, err := testenv.Root()
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "tool", "-modfile", filepath.Join(root, "internal", "tools", "go.mod"),
		"h2spec", "--strict", "-h", host, "-p", port, "-P", "/", "--timeout", "3")
	output, err := command.CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
}
