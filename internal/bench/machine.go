package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"postern/internal/testenv"
)

// Machine is where and with what was measured, without the machine's name.
type Machine struct {
	Date       string `json:"date"`
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Memory     string `json:"memory"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	H2Load     string `json:"h2load"`
	Revision   string `json:"revision"` // of Postern, "+" behind it where something was not committed
}

func describe(ctx context.Context) Machine {
	m := Machine{
		Date: time.Now().UTC().Format(time.DateOnly), Processors: runtime.NumCPU(), Go: runtime.Version(),
		Processor: field("/proc/cpuinfo", "model name"), Memory: field("/proc/meminfo", "MemTotal"),
		Kernel: says(ctx, "uname", "-sr"), H2Load: says(ctx, "h2load", "--version"), Revision: says(ctx, "git", "rev-parse", "--short=12", "HEAD"),
	}
	if says(ctx, "git", "status", "--porcelain", "--untracked-files=no") != "" {
		m.Revision += "+"
	}
	return m
}

// field is the value of a line such as "name : value".
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// says is what a command prints; nothing where it is not there.
func says(ctx context.Context, name string, args ...string) string {
	output, _ := exec.CommandContext(ctx, name, args...).Output()
	return strings.TrimSpace(string(output))
}

// runInner runs the benchmarks that stand beside the code, for benchstat.
func (b *bench) runInner(ctx context.Context) error {
	if !b.wanted("inner") {
		return nil
	}
	root, err := testenv.Root()
	if err != nil {
		return err
	}
	packages, err := benchmarked(root)
	if err != nil || len(packages) == 0 {
		return err
	}
	args := append([]string{"test", "-run", "^$", "-bench", ".", "-benchmem", "-count", fmt.Sprint(b.plan.innerCount), "-benchtime", b.plan.innerTime}, packages...)
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = root
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("go test -bench: %w\n%s", err, output.Bytes())
	}
	b.inner = output.Bytes()
	return nil
}

// benchmarked are the packages with a benchmark in them.
func benchmarked(root string) ([]string, error) {
	var packages []string
	tree := os.DirFS(root)
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err == nil && bytes.Contains(text, []byte("\nfunc Benchmark")) {
			packages = append(packages, "./"+path.Dir(name))
		}
		return err
	})
	slices.Sort(packages)
	return slices.Compact(packages), err
}
