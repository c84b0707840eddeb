package testenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Redis is a real Redis server on a port of loopback. It keeps nothing on disk
// but what Save writes.
type Redis struct {
	Addr string // 127.0.0.1:port

	dir     string
	args    []string
	process *Process // nil while it is stopped
	client  *redis.Client
}

// StartRedis starts a server that works in dir, made where there is none. args
// are more of redis-server's own, such as "--requirepass", "secret".
func StartRedis(ctx context.Context, dir string, args ...string) (*Redis, error) {
	var err error
	for range 3 { // the port may be taken between the look and the start
		var r *Redis
		if r, err = newRedis(dir, args); err != nil {
			return nil, err
		}
		if err = r.Start(ctx); err == nil {
			return r, nil
		}
		r.Stop()
	}
	return nil, err
}

func newRedis(dir string, args []string) (*Redis, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	port, err := lastingPort()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	r := &Redis{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), dir: dir, args: args}
	password := ""
	for i, arg := range args[:max(0, len(args)-1)] {
		if arg == "--requirepass" {
			password = args[i+1]
		}
	}
	r.client = redis.NewClient(&redis.Options{
		Addr: r.Addr, Password: password, Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
		ContextTimeoutEnabled: true,
		PoolSize:              1000, // after as many failures it would wait a second before it tries again
	})
	logging.Disable() // of every refused connection; this one expects them
	return r, nil
}

// Start runs a stopped server again, on its port, and waits until it answers. It
// remembers nothing.
func (r *Redis) Start(ctx context.Context) error {
	if err := r.forget(); err != nil {
		return err
	}
	return r.start(ctx)
}

func (r *Redis) start(ctx context.Context) error {
	_, port, _ := net.SplitHostPort(r.Addr)
	return r.run(ctx, append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "no",
		"--dbfilename", "dump.rdb", "--daemonize", "no", "--repl-diskless-sync-delay", "0",
	}, r.args...))
}

// run starts the binary and waits, 10 seconds at most, until it is this process
// that answers on the port and has loaded its data.
func (r *Redis) run(ctx context.Context, args []string) error {
	process, err := Start(Command{Name: "redis-server", Path: "redis-server", Args: args, Dir: r.dir, Log: r.path("redis.log")})
	if err != nil {
		return fmt.Errorf("%w; internal/testenv/install.sh installs it", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := process.WaitForPort(ctx, "tcp", r.Addr); err != nil {
		process.Kill()
		return err
	}
	for {
		info, err := r.client.Info(ctx).Result()
		if err == nil && strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", process.PID())) && !strings.Contains(info, "loading:1") {
			r.process = process
			return nil
		}
		select {
		case <-process.Done():
			return process.Failure()
		case <-ctx.Done():
			process.Kill()
			return fmt.Errorf("redis-server does not answer on %s: %w, see %s", r.Addr, errors.Join(ctx.Err(), err), process.Log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// URL is the address for a client, with the password if there is one.
func (r *Redis) URL() string {
	if password := r.client.Options().Password; password != "" {
		return "redis://:" + password + "@" + r.Addr
	}
	return "redis://" + r.Addr
}

// Client speaks to the server, for what a test does behind a cache's back.
func (r *Redis) Client() *redis.Client { return r.client }

// Stop ends the server in order, for good: Start does not follow it.
func (r *Redis) Stop() {
	if r.process != nil {
		r.process.signal(syscall.SIGCONT) // a paused one would not hear
		r.process.Stop(5 * time.Second)
		r.process = nil
	}
	_ = r.client.Close()
}

// Kill ends the server as a crash would; Start or RestoreSnapshot follows it.
func (r *Redis) Kill() {
	if r.process != nil {
		r.process.Kill()
		r.process = nil
	}
}

// Pause stops the server without ending it (SIGSTOP): it accepts connections and
// answers nothing.
func (r *Redis) Pause() { r.process.signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (r *Redis) Resume() { r.process.signal(syscall.SIGCONT) }

// Flush removes every value.
func (r *Redis) Flush(ctx context.Context) error { return r.client.FlushAll(ctx).Err() }

// Save keeps a snapshot of the present values.
func (r *Redis) Save(ctx context.Context) error {
	if err := r.client.Save(ctx).Err(); err != nil {
		return fmt.Errorf("save a snapshot of redis: %w", err)
	}
	return os.Rename(r.path("dump.rdb"), r.path("snapshot.rdb"))
}

// RestoreSnapshot kills the server and starts it with the values of the last
// Save, less those whose time has ended.
func (r *Redis) RestoreSnapshot(ctx context.Context) error {
	r.Kill()
	if err := r.forget(); err != nil {
		return err
	}
	if err := os.Link(r.path("snapshot.rdb"), r.path("dump.rdb")); err != nil {
		return fmt.Errorf("restore a snapshot of redis: %w", err)
	}
	return r.start(ctx)
}

// forget removes what the server would load.
func (r *Redis) forget() error {
	if err := os.Remove(r.path("dump.rdb")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

func (r *Redis) path(name string) string { return filepath.Join(r.dir, name) }

// lastingPort is a free port below the range that the kernel takes for outgoing
// connections, so that a server which is down for a while finds its port free.
func lastingPort() (int, error) {
	const first, last = 10000, 32000
	for range 100 {
		port := first + rand.IntN(last-first)
		if len(CheckFree(port)) == 0 {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d", first, last)
}
