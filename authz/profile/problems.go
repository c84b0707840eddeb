package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a profile: where, which field, what, and what
// to do about it.
type Problem struct {
	File  string
	Line  int    // 0: the file as a whole
	Field string // such as "routes[2].cost"; empty: the file as a whole
	Text  string
}

// String is the problem in one line: "file:line: field: what; remedy".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems are all that is wrong with what was loaded; as an error, one per line.
type Problems []Problem

// Error lists the problems by file and line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(at place, field, format string, args ...any) {
	*p = append(*p, Problem{File: at.file, Line: at.line, Field: field, Text: fmt.Sprintf(format, args...)})
}

// err is the problems in the order of the text, or nil where there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(p)
}
