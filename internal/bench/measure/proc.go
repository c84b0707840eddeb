// Package measure reads what a benchmark needs to know of a process and of a load:
// processor time and memory, the server's own metrics, the output of h2load and of
// Go's garbage collector, percentiles. It knows formats and no server.
package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ is 100 wherever Go runs
// on Linux.
const tick = 10 * time.Millisecond

// CPU is the processor time that a process has used, in user space and the kernel.
func CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return parseStat(text)
}

// parseStat adds utime and stime, the fields 14 and 15. The second field is the
// program's name in parentheses, which may hold spaces and parentheses itself.
func parseStat(text []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, fmt.Errorf("processor time: %q names no program", text)
	}
	fields := strings.Fields(string(text[end+1:])) // from the third on
	const user, system = 14 - 3, 15 - 3
	if len(fields) <= system {
		return 0, fmt.Errorf("processor time: %q has too few fields", text)
	}
	var sum time.Duration
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("processor time: %q: %w", text, err)
		}
		sum += time.Duration(ticks) * tick
	}
	return sum, nil
}

// Memory is the resident memory of a process, in bytes.
func Memory(pid int) (int64, error) {
	text, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return 0, fmt.Errorf("resident memory: %w", err)
	}
	return parseResident(text)
}

func parseResident(text []byte) (int64, error) {
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			fields := strings.Fields(rest)
			if len(fields) != 2 || fields[1] != "kB" {
				return 0, fmt.Errorf("resident memory: %q is not in kB", line)
			}
			kilobytes, err := strconv.ParseInt(fields[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("resident memory: %q: %w", line, err)
			}
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("resident memory: there is no VmRSS")
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
