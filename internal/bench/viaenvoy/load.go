package viaenvoy

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"postern/internal/bench/measure"
)

// load is what h2load is to send by HTTP/1.1.
type load struct {
	url     string
	headers []string // "name: value"
	clients int
	rate    int // requests a second of each client; 0: as fast as they are answered
	length  time.Duration
	log     string // file for the times of the requests; empty: none
}

// pacePerClient is the highest rate at which h2load spreads the requests of a client
// evenly: its timer goes off each 10 ms.
const pacePerClient = 100

// paced sends requests at a fixed rate by so many h2loads of one client each. The
// clients of a single h2load would all send in the same moment.
func (l load) paced(ctx context.Context, clients int) (outcome, error) {
	group, ctx := errgroup.WithContext(ctx)
	took, other := make([][]time.Duration, clients), make([]int, clients)
	for i := range clients {
		one := l
		one.clients, one.rate, one.log = 1, pacePerClient, fmt.Sprintf("%s-%d", l.log, i)
		group.Go(func() error {
			o, err := one.run(ctx)
			took[i], other[i] = o.took, o.other
			return err
		})
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond / time.Duration(clients)):
		}
	}
	err := group.Wait()
	all := outcome{took: slices.Concat(took...), requests: len(slices.Concat(took...))}
	for _, count := range other {
		all.other += count
	}
	return all, err
}

// outcome is what came of a load.
type outcome struct {
	requests int     // answered by 200
	other    int     // answered otherwise
	rate     float64 // requests a second
	took     []time.Duration
}

// maxOther is the share of requests that may be answered otherwise than by 200: where
// the machine stands still for a fifth of a second, Envoy as it comes gives up a check.
const maxOther = 0.02

// run sends the load and fails unless nearly every request was answered by 200.
func (l load) run(ctx context.Context) (outcome, error) {
	args := []string{"--h1", "-t1", "-c", strconv.Itoa(l.clients), "-D", fmt.Sprintf("%dms", l.length.Milliseconds())}
	if l.rate > 0 {
		args = append(args, "--rps", strconv.Itoa(l.rate))
	}
	if l.log != "" {
		if err := os.Remove(l.log); err != nil && !errors.Is(err, os.ErrNotExist) {
			return outcome{}, fmt.Errorf("h2load: its old log: %w", err) // it would add to it
		}
		args = append(args, "--log-file", l.log)
	}
	for _, header := range l.headers {
		args = append(args, "-H", header)
	}
	output, err := exec.CommandContext(ctx, "h2load", append(args, l.url)...).CombinedOutput()
	if err != nil {
		return outcome{}, fmt.Errorf("h2load (from nghttp2-client): %w\n%s", err, output)
	}
	o, err := parseSummary(string(output))
	if err != nil || l.log == "" {
		return o, err
	}
	log, err := os.Open(l.log)
	if err != nil {
		return o, fmt.Errorf("h2load: %w", err)
	}
	defer log.Close()
	o.took, err = parseLog(log)
	return o, err
}

// parseSummary reads the lines of h2load's summary that count, by its own clock.
func parseSummary(output string) (outcome, error) {
	finished := regexp.MustCompile(`(?m)^finished in [0-9.]+(?:us|ms|s|m), ([0-9.]+) req/s`).FindStringSubmatch(output)
	done := regexp.MustCompile(`(?m)^requests: .* (\d+) done, (\d+) succeeded, .* (\d+) errored, (\d+) timeout`).FindStringSubmatch(output)
	if finished == nil || done == nil {
		return outcome{}, fmt.Errorf("h2load: its output has no summary:\n%s", output)
	}
	rate, err := strconv.ParseFloat(finished[1], 64)
	var counts [4]int
	for i := range counts {
		count, errCount := strconv.Atoi(done[i+1])
		counts[i], err = count, errors.Join(err, errCount)
	}
	if err != nil {
		return outcome{}, fmt.Errorf("h2load: %w", err)
	}
	all, succeeded, lost := counts[0], counts[1], counts[2]+counts[3]
	o := outcome{requests: succeeded, other: all - succeeded + lost, rate: rate}
	if succeeded == 0 || float64(o.other) > maxOther*float64(all) {
		return outcome{}, fmt.Errorf("h2load: %d of %d requests were not answered by 200:\n%s", o.other, all, output)
	}
	return o, nil
}

// parseLog reads the times of the requests that were answered by 200 from a log: when
// each began, its status and how long it took, in microseconds.
func parseLog(r io.Reader) ([]time.Duration, error) {
	var took []time.Duration
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) < 3 {
			return nil, fmt.Errorf("h2load: its log says %q of a request", lines.Text())
		}
		if fields[1] != "200" {
			continue // counted in the summary
		}
		micros, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("h2load: its log: %w", err)
		}
		took = append(took, time.Duration(micros)*time.Microsecond)
	}
	return took, lines.Err()
}

// percentile is the nearest rank of the times, in microseconds; of none it is zero.
func percentile(took []time.Duration, hundredths int) float64 {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	rank := (len(sorted)*hundredths + 99) / 100
	return float64(sorted[max(1, rank)-1]) / float64(time.Microsecond)
}

// spreadOf is the middle of the values, and how far they lie apart; the median of an
// even number is the mean of the two in the middle.
func spreadOf(values []float64) Spread {
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	n := len(sorted)
	if n == 0 {
		return Spread{}
	}
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// cpu is the processor time that a process has used, in user space and the kernel;
// of no process, 0, it is none.
func cpu(pid int) (time.Duration, error) {
	if pid == 0 {
		return 0, nil
	}
	return measure.CPU(pid)
}
