// Package rig starts the servers that the benchmarks compare, Postern's real binary
// and the stock one that allows everything, fills Postern as an operator would, and
// makes the requests that both are sent. It measures nothing.
package rig

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/demo"
	"postern/internal/demo/issuer"
	"postern/internal/testenv"
)

// Rig has the binaries and a folder for all that the servers write.
type Rig struct {
	Dir string

	started            int // servers, so that each has files of its own
	client             *http.Client
	sessions, platform *issuer.Issuer // stand in for Clerk and Keycloak
}

// New builds the binaries into a new temporary folder.
func New(ctx context.Context) (*Rig, error) {
	root, err := testenv.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postern-bench-")
	if err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator), "./cmd/postern", "./internal/bench/noop")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("build the servers: %w\n%s", err, output)
	}
	r := &Rig{Dir: dir, client: &http.Client{Timeout: 30 * time.Second}}
	r.sessions, err = issuer.Open(dir, "clerk", demo.SessionIssuer)
	if err == nil {
		r.platform, err = issuer.Open(dir, "keycloak", demo.PlatformIssuer)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close removes the folder.
func (r *Rig) Close() { _ = os.RemoveAll(r.Dir) }

// Path is a file in the folder.
func (r *Rig) Path(name ...string) string {
	return filepath.Join(append([]string{r.Dir}, name...)...)
}

// number counts the servers and gives each a name for its files.
func (r *Rig) number(kind string) string {
	r.started++
	return kind + "-" + strconv.Itoa(r.started)
}

// environment is this process's without settings of Postern or of the Go runtime.
func environment(more ...string) []string {
	kept := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "POSTERN_") || strings.HasPrefix(entry, "GOMAXPROCS=") ||
			strings.HasPrefix(entry, "GOGC=") || strings.HasPrefix(entry, "GODEBUG=") || strings.HasPrefix(entry, "GOMEMLIMIT=")
	})
	return append(kept, more...)
}

func freeAddress() (string, error) {
	port, err := testenv.FreePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}
