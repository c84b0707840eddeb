package ctl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "postern/proto/postern/admin/v1"
)

// table is what people read: rows below a header.
type table struct {
	header []string
	rows   [][]string
}

// print writes the message as JSON, or as the table that tabulate makes of it.
func (a *app) print(message proto.Message, tabulate func() table) error {
	if a.output == "json" {
		return a.printJSON(message)
	}
	t := tabulate()
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	if len(t.header) > 0 {
		fmt.Fprintln(w, strings.Join(t.header, "\t"))
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = clean(row[i], false)
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// printJSON writes the form that REST has too, with the same spacing each time.
func (a *app) printJSON(message proto.Message) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
	if err != nil {
		return fmt.Errorf("writing the answer as JSON: %w", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, text, "", "  "); err != nil {
		return fmt.Errorf("writing the answer as JSON: %w", err)
	}
	_, err = fmt.Fprintln(a.Stdout, indented.String())
	return err
}

// printSecret writes a new secret alone to stdout, so that a script can take it,
// and everything about it to stderr.
func (a *app) printSecret(message proto.Message, secret, about string) error {
	fmt.Fprintln(a.Stderr, clean(about, false))
	fmt.Fprintln(a.Stderr, "This is shown only once. Store it safely now; it cannot be had again.")
	if a.output == "json" {
		return a.printJSON(message)
	}
	_, err := fmt.Fprintln(a.Stdout, secret)
	return err
}

// printDone tells what was changed and how far that has come.
func (a *app) printDone(message proto.Message, done string, c *adminv1.Confirmation) error {
	if a.output == "json" {
		if err := a.printJSON(message); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintln(a.Stdout, clean(done+": "+c.GetSummary(), false)); err != nil {
		return err
	}
	return confirmed(c)
}

// confirmed fails where a replica may still decide from an older record: a
// script that goes on must not take the change for done.
func confirmed(c *adminv1.Confirmation) error {
	if c.GetReplicas() > 0 && c.GetInForce() == c.GetReplicas() {
		return nil
	}
	summary := clean(c.GetSummary(), false)
	return errors.New("the change is committed and need not be repeated, but it is not confirmed everywhere: " + summary +
		"; posternctl replicas shows how far each replica is")
}

// paged is the answer to a list call.
type paged interface {
	proto.Message
	GetNextPageToken() string
}

// everything asks for page after page and returns them as one.
func everything[P paged](fetch func(pageToken string) (P, error)) (P, error) {
	whole, err := fetch("")
	if err != nil {
		return whole, err
	}
	for next := whole.GetNextPageToken(); next != ""; {
		page, err := fetch(next)
		if err != nil {
			return whole, err
		}
		if page.GetNextPageToken() == next {
			return whole, errors.New("the server returned the same page twice; try again")
		}
		next = page.GetNextPageToken()
		proto.Merge(whole, page)
	}
	reflected := whole.ProtoReflect()
	reflected.Clear(reflected.Descriptor().Fields().ByName("next_page_token"))
	return whole, nil
}

// clean keeps what a client wrote from steering the terminal.
func clean(text string, multiline bool) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' && multiline {
			return r
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '?'
		}
		return r
	}, text)
}

func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().UTC().Format(time.RFC3339)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func list(names []string) string { return dash(strings.Join(names, ",")) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// enum is the short name of an enum's value: KEY_STATE_ACTIVE is active.
func enum(value fmt.Stringer, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(value.String(), prefix)), "_", "-")
}
