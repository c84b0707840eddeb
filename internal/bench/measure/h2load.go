package measure

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// H2Load says what h2load is to send.
type H2Load struct {
	Address     string // host:port or unix:///path
	Method      string // the gRPC method's path
	Body        string // file with one framed message
	Connections int
	Streams     int // in flight on each connection
	Requests    int
	CPUs        string // as taskset takes them
	Log         string // file for the times of the requests
}

// Load is what came of it.
type Load struct {
	Requests int
	Elapsed  time.Duration
	Took     []time.Duration
}

// Run sends the load and fails unless every request succeeded.
func (h H2Load) Run(ctx context.Context) (Load, error) {
	base := "http://" + h.Address
	args := []string{"-c", h.CPUs, "h2load", "-t1", "-c", strconv.Itoa(h.Connections), "-m", strconv.Itoa(h.Streams),
		"-n", strconv.Itoa(h.Requests), "-d", h.Body, "--log-file", h.Log,
		"-H", "content-type: application/grpc", "-H", "te: trailers", "-H", "grpc-timeout: 500m"}
	if path, unix := strings.CutPrefix(h.Address, "unix://"); unix {
		base = "http://localhost"
		args = append(args, "--base-uri", "unix:"+path)
	}
	_ = os.Remove(h.Log) // h2load adds to one that is there
	output, err := exec.CommandContext(ctx, "taskset", append(args, base+h.Method)...).CombinedOutput()
	if err != nil {
		return Load{}, fmt.Errorf("h2load: %w\n%s", err, output)
	}
	load, err := parseH2Load(string(output))
	if err != nil {
		return Load{}, err
	}
	if load.Requests != h.Requests {
		return Load{}, fmt.Errorf("h2load: %d of %d requests succeeded\n%s", load.Requests, h.Requests, output)
	}
	log, err := os.Open(h.Log)
	if err != nil {
		return Load{}, fmt.Errorf("h2load: %w", err)
	}
	defer log.Close()
	load.Took, err = parseH2LoadLog(log)
	if err == nil && len(load.Took) != h.Requests {
		err = fmt.Errorf("h2load: its log tells of %d requests of %d", len(load.Took), h.Requests)
	}
	return load, err
}

// parseH2Load reads the two lines of the summary that count.
func parseH2Load(output string) (Load, error) {
	finished := regexp.MustCompile(`(?m)^finished in ([0-9.]+)(us|ms|s|m),`).FindStringSubmatch(output)
	succeeded := regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded`).FindStringSubmatch(output)
	if finished == nil || succeeded == nil {
		return Load{}, fmt.Errorf("h2load: its output has no summary:\n%s", output)
	}
	elapsed, err := time.ParseDuration(finished[1] + finished[2])
	if err != nil {
		return Load{}, fmt.Errorf("h2load: %w", err)
	}
	requests, err := strconv.Atoi(succeeded[1])
	if err != nil {
		return Load{}, fmt.Errorf("h2load: %w", err)
	}
	return Load{Requests: requests, Elapsed: elapsed}, nil
}

// parseH2LoadLog reads the times of a log: when a request began, its status and how
// long it took, in microseconds. Any status but 200 is an error.
func parseH2LoadLog(r io.Reader) ([]time.Duration, error) {
	var took []time.Duration
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return took, lines.Err()
		}
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 3 || fields[1] != "200" {
			return nil, fmt.Errorf("h2load: its log says %q of a request, and not 200", lines.Text())
		}
		micros, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("h2load: its log: %w", err)
		}
		took = append(took, time.Duration(micros)*time.Microsecond)
	}
}
