// Command soak is `make soak`: a drill with figures. A good key of the slow,
// bcrypt-hashed format is used through the real Envoy, first in quiet and then
// beside a flood of unknown keys. It fails where the flood is felt.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"postern/authz/credential"
	"postern/internal/demo"
	"postern/internal/testenv"
)

// The drill: how long each phase lasts, how often the good key is used, how many
// unknown keys arrive, and how much slower the good key may become.
const (
	phase     = 10 * time.Second
	goodRate  = 100 // a second
	floodRate = 200 // a second
	maxRatio  = 3.0
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	url, key, stop, err := start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	drill := &drill{client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}, url: url + "/api/v2/tasks", key: key}
	drill.use(ctx, 2*time.Second) // warm up: connections, caches, the first hash
	fmt.Printf("good key: %d requests/s; flood: %d unknown keys/s for %v; through Envoy\n", goodRate, floodRate, phase)
	quiet := drill.use(ctx, phase)
	var flood sync.WaitGroup
	flooding, calm := context.WithCancel(ctx)
	flood.Go(func() { drill.flood(flooding) })
	loud := drill.use(ctx, phase)
	calm()
	flood.Wait()
	quiet.print("quiet")
	loud.print("flood")
	ratio := float64(loud.percentile(99)) / float64(quiet.percentile(99))
	fmt.Printf("unknown keys: %d refused with 401, %d otherwise\n", drill.refused.Load(), drill.odd.Load())
	fmt.Printf("good key's p99: %.2f times the quiet one (at most %.0f); refused: %d\n", ratio, maxRatio, quiet.refused+loud.refused)
	if ratio > maxRatio || quiet.refused+loud.refused > 0 {
		return fmt.Errorf("the flood is felt: p99 ratio %.2f, %d good requests refused", ratio, quiet.refused+loud.refused)
	}
	return ctx.Err()
}

// start runs the demo in a folder of its own and returns arthur-engine's address
// and the seeded key.
func start(ctx context.Context) (url, key string, stop func(), err error) {
	root, err := testenv.Root()
	if err != nil {
		return "", "", nil, err
	}
	state, err := os.MkdirTemp("", "postern-soak-")
	if err != nil {
		return "", "", nil, err
	}
	offset, err := testenv.FreeOffset(demo.Ports()...)
	if err != nil {
		return "", "", nil, err
	}
	envoy, err := testenv.EnvoyBinary(ctx, root+"/.run/envoy")
	if err != nil {
		return "", "", nil, err
	}
	if err := os.Setenv("ENVOY_BIN", envoy); err != nil {
		return "", "", nil, err
	}
	running, cancel := context.WithCancel(ctx)
	output, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := demo.Run(running, demo.Options{Root: root, State: state, Offset: offset, Output: printed})
		_ = printed.Close()
		ended <- err
	}()
	text, ready := readUntil(output, demo.Ready)
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			fmt.Fprintln(os.Stderr, "soak: the demo ended with:", err)
		}
		_ = os.RemoveAll(state)
	}
	if !ready {
		cancel()
		return "", "", nil, fmt.Errorf("the demo did not start: %w\n%s", <-ended, text)
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	variables, err := demo.Variables(state)
	if err != nil {
		stop()
		return "", "", nil, err
	}
	return variables["ARTHUR_ENGINE_URL"], variables["ARTHUR_API_KEY"], stop, nil
}

func readUntil(r io.Reader, line string) (string, bool) {
	var text strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := r.Read(buffer)
		text.Write(buffer[:n])
		if strings.Contains(text.String(), line) {
			return text.String(), true
		}
		if err != nil {
			return text.String(), false
		}
	}
}

// drill is who sends the requests.
type drill struct {
	client       *http.Client
	url, key     string
	refused, odd atomic.Int64 // answers to unknown keys: 401, and others
}

// series are the answers to the good key.
type series struct {
	took    []time.Duration
	refused int
}

// use sends the good key at its rate, whatever the answers take.
func (d *drill) use(ctx context.Context, length time.Duration) series {
	var mu sync.Mutex
	var s series
	pace(ctx, goodRate, length, func() {
		began := time.Now()
		status := d.send(ctx, d.key)
		took := time.Since(began)
		mu.Lock()
		defer mu.Unlock()
		s.took = append(s.took, took)
		if status != http.StatusOK {
			s.refused++
		}
	})
	slices.Sort(s.took)
	return s
}

// flood sends a fresh key each time, well-formed and of no record.
func (d *drill) flood(ctx context.Context) {
	format := credential.Format{Layout: credential.Pair, Hash: credential.SHA256}
	pace(ctx, floodRate, time.Hour, func() {
		minted, err := format.Mint(rand.Reader)
		if err != nil {
			d.odd.Add(1)
			return
		}
		switch status := d.send(ctx, minted.Raw.Reveal()); {
		case status == http.StatusUnauthorized:
			d.refused.Add(1)
		case ctx.Err() == nil:
			d.odd.Add(1)
		}
	})
}

// send returns the status of one request, 0 where there was no answer.
func (d *drill) send(ctx context.Context, key string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return 0
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := d.client.Do(request)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

// pace starts the call at a steady rate and waits for all that were started.
func pace(ctx context.Context, rate int, length time.Duration, call func()) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	end := time.NewTimer(length)
	defer end.Stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-tick.C:
			calls.Go(call)
		}
	}
}

// percentile of the sorted series, by the nearest rank.
func (s series) percentile(p int) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.took[min(len(s.took)-1, len(s.took)*p/100)]
}

func (s series) print(name string) {
	fmt.Printf("%-6s %5d requests   p50 %8v   p99 %8v   max %8v\n", name, len(s.took),
		s.percentile(50).Round(10*time.Microsecond), s.percentile(99).Round(10*time.Microsecond), s.percentile(100).Round(10*time.Microsecond))
}
