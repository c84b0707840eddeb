package measure

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Cycle is one garbage collection of a Go program.
type Cycle struct {
	Began time.Time
	Took  time.Duration
	Live  int64 // bytes that were found alive, to the megabyte
}

// traced is a cycle as GODEBUG=gctrace=1 prints it: times count from the program's start.
type traced struct {
	at, took time.Duration
	live     int64
}

// parseGCTrace reads one line; ok is false for any other than gctrace's, such as
//
//	gc 3 @0.105s 2%: 0.018+1.3+0.076 ms clock, 0.036+0.2/0.5/0+0.15 ms cpu, 4->5->2 MB, 5 MB goal, 0 MB stacks, 0 MB globals, 2 P
func parseGCTrace(line string) (t traced, ok bool) {
	pattern := regexp.MustCompile(`^gc \d+ @([0-9.]+)s \d+%: ([0-9.]+)\+([0-9.]+)\+([0-9.]+) ms clock, .* \d+->\d+->(\d+) MB,`)
	found := pattern.FindStringSubmatch(line)
	if found == nil {
		return t, false
	}
	at, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return t, false
	}
	t.at = time.Duration(at * float64(time.Second))
	for _, part := range found[2:5] {
		millis, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return t, false
		}
		t.took += time.Duration(millis * float64(time.Millisecond))
	}
	megabytes, err := strconv.ParseInt(found[5], 10, 64)
	t.live = megabytes << 20
	return t, err == nil
}

// GCTrace follows the file that a program's gctrace goes to.
type GCTrace struct {
	stop func()

	cycles []traced
	begin  time.Time // of the program, as exactly as the lines tell
}

// poll is how often the file is looked at. A line cannot come before its cycle ends,
// so the earliest of all tells when the program began, about as exactly as this.
const poll = 2 * time.Millisecond

// FollowGC begins to follow; what the file holds already is left out.
func FollowGC(path string) (*GCTrace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, 2); err != nil {
		_ = file.Close()
		return nil, err
	}
	t := &GCTrace{}
	stopped := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		defer file.Close()
		tick := time.NewTicker(poll)
		defer tick.Stop()
		var rest []byte
		buffer := make([]byte, 1<<16)
		for {
			n, _ := file.Read(buffer) // at the end it reads nothing
			rest = t.take(append(rest, buffer[:n]...), time.Now())
			select {
			case <-stopped:
				return
			case <-tick.C:
			}
		}
	})
	t.stop = sync.OnceFunc(func() { close(stopped); work.Wait() })
	return t, nil
}

// take reads the whole lines that have come, and returns what is left.
func (t *GCTrace) take(text []byte, now time.Time) []byte {
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return text
		}
		if cycle, ok := parseGCTrace(strings.TrimSpace(string(text[:end]))); ok {
			t.cycles = append(t.cycles, cycle)
			if begin := now.Add(-cycle.at - cycle.took); t.begin.IsZero() || begin.Before(t.begin) {
				t.begin = begin
			}
		}
		text = text[end+1:]
	}
}

// Stop ends following and returns the cycles that ended meanwhile.
func (t *GCTrace) Stop() []Cycle {
	t.stop()
	cycles := make([]Cycle, len(t.cycles))
	for i, c := range t.cycles {
		cycles[i] = Cycle{Began: t.begin.Add(c.at), Took: c.took, Live: c.live}
	}
	return cycles
}
