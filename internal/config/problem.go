package config

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with the configuration.
type Problem struct {
	Field  string // the path, such as store.url; empty where none is at fault
	Source string // "postern.yaml:7", "POSTERN_STORE_URL", "--store-url" or "default"
	Text   string // what is wrong and what to do about it
}

// String is the problem in one line.
func (p Problem) String() string {
	switch {
	case p.Field == "":
		return fmt.Sprintf("%s: %s", p.Source, p.Text)
	case p.Source == "":
		return fmt.Sprintf("%s %s", p.Field, p.Text)
	default:
		return fmt.Sprintf("%s: %s %s", p.Source, p.Field, p.Text)
	}
}

// Problems is everything wrong with the configuration, as one error.
type Problems []Problem

// Error lists the problems, one in a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return "invalid configuration:\n  " + strings.Join(lines, "\n  ")
}

// orNil is the error of no problems: none.
func (ps Problems) orNil() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
