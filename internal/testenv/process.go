// Package testenv starts the real servers that tests and the demo talk to: Envoy,
// Postern's own binaries, anything that runs beside them. It knows processes and
// ports; it must not know what is tested with them. Production code does not
// import it.
package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Command says what to run.
type Command struct {
	Name string   // for errors, such as "envoy"
	Path string   // of the binary
	Args []string // without the binary
	Env  []string // all of it; nil is the parent's
	Dir  string   // working directory; empty is the parent's
	Log  string   // file that takes standard output and error; it is begun anew
	// Credential is whom it runs as; nil is the parent's.
	Credential *syscall.Credential
}

// Process is a running child. It ends with Stop, or at the latest when its parent
// dies (on Linux).
type Process struct {
	name, log string
	cmd       *exec.Cmd
	done      chan struct{} // closed when it has ended; only then is cmd's state read
}

// Start runs the command. It gets a process group of its own, so that a Ctrl-C
// reaches it only through its parent, which then stops its children in order.
func Start(c Command) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(c.Log), 0o755); err != nil {
		return nil, fmt.Errorf("%s: make the folder of its log: %w", c.Name, err)
	}
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: open its log: %w", c.Name, err)
	}
	defer log.Close()

	p := &Process{name: c.Name, log: c.Log, cmd: exec.Command(c.Path, c.Args...), done: make(chan struct{})}
	p.cmd.Dir = c.Dir
	p.cmd.Env = c.Env
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = childAttributes(c.Credential)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says the same
		close(p.done)
	}()
	return p, nil
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the file with what the process wrote.
func (p *Process) Log() string { return p.log }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Failure says that a process ended which should run, and where its last words are.
func (p *Process) Failure() error {
	<-p.done
	return fmt.Errorf("%s ended (%s), see %s", p.name, p.cmd.ProcessState, p.log)
}

// Stop asks the process to end (SIGTERM) and, when it has not after the bound,
// ends it (SIGKILL). It returns the exit code, -1 for a process ended by a signal.
func (p *Process) Stop(bound time.Duration) int {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(bound):
		p.signal(syscall.SIGKILL)
		<-p.done
	}
	return p.cmd.ProcessState.ExitCode()
}

// Kill ends the process at once, as a crash would.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

func (p *Process) signal(s syscall.Signal) {
	select {
	case <-p.done: // its id may be another's by now
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// WaitForPort waits until the address accepts connections. It fails when the
// process ends or the context does.
func (p *Process) WaitForPort(ctx context.Context, network, address string) error {
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.done:
			return p.Failure()
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w, see %s", p.name, address, errors.Join(ctx.Err(), err), p.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
