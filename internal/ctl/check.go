package ctl

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "postern/proto/postern/admin/v1"
)

// maxHeaderFile bounds a file of header lines.
const maxHeaderFile = 1 << 20

func (a *app) check() *cobra.Command {
	request, headers := &adminv1.CheckRequest{}, []string(nil)
	c := a.call("check URL|PATH", "Ask the engine how it would decide a request", func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		if err := address(request, args[0]); err != nil {
			return err
		}
		var err error
		if request.Headers, err = a.readHeaders(headers); err != nil {
			return err
		}
		response, err := adminv1.NewDecisionServiceClient(conn).Check(ctx, request)
		if err != nil {
			return err
		}
		if err := a.print(response, func() table { return decisionTable(response) }); err != nil {
			return err
		}
		if response.GetDecision() != adminv1.Decision_DECISION_ALLOW {
			return errDenied
		}
		return nil
	})
	c.Long = "Asks the engine how it would decide a request now, with the true reason. Nothing is debited.\n\n" +
		"Keep a credential out of the command line: put the header line into a file and name it with -H @file,\n" +
		"or send it by standard input with -H @-. The exit code is 0 for an allow and 1 for a denial."
	c.Example = "  printf 'Authorization: Bearer %s' \"$KEY\" | posternctl check --profile authenta -X POST -H @- /api/v1/jobs"
	c.Flags().StringVar(&request.Profile, "profile", "", "profile (default: the one that serves the host)")
	c.Flags().StringVar(&request.Host, "host", "", "host (default: the URL's)")
	c.Flags().StringVarP(&request.Method, "method", "X", "GET", "method")
	c.Flags().StringVar(&request.Scheme, "scheme", "", "http or https (default: the URL's, or https)")
	c.Flags().StringArrayVarP(&headers, "header", "H", nil, "header as 'name: value', @file with a header in each line, or @- for standard input")
	return c
}

// address takes scheme and host out of a URL; the path stays byte for byte as it
// was given, because its spelling is what the engine judges.
func address(request *adminv1.CheckRequest, given string) error {
	request.Path = given
	if strings.HasPrefix(given, "/") {
		if request.GetProfile() == "" && request.GetHost() == "" {
			return usage("--profile is missing, and the path names no host; give one of --profile, --host and a whole URL")
		}
		return nil
	}
	scheme, rest, ok := strings.Cut(given, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return usage("%q is neither a URL nor a path; begin it with https://, http:// or /", given)
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		rest, end = rest+"/", len(rest)
	}
	if request.Path = rest[end:]; request.Path[0] == '?' {
		request.Path = "/" + request.Path
	}
	if request.Scheme == "" {
		request.Scheme = scheme
	}
	if request.Host == "" {
		request.Host = rest[:end]
	}
	return nil
}

// readHeaders never repeats what it read: it may be a credential.
func (a *app) readHeaders(given []string) ([]*adminv1.Header, error) {
	var headers []*adminv1.Header
	for _, one := range given {
		lines, from := one, "-H"
		if file, ok := strings.CutPrefix(one, "@"); ok {
			text, err := a.readFile(file)
			if err != nil {
				return nil, usage("-H @%s: %v", file, err)
			}
			lines, from = text, "-H @"+file
		}
		for line := range strings.Lines(lines) {
			if line = strings.TrimRight(line, "\r\n"); line == "" {
				continue
			}
			name, value, ok := strings.Cut(line, ":")
			if !ok || name == "" {
				return nil, usage("%s: a line is not a header; use the form 'name: value'", from)
			}
			headers = append(headers, &adminv1.Header{Name: name, Value: strings.Trim(value, " \t")})
		}
	}
	return headers, nil
}

func (a *app) readFile(name string) (string, error) {
	from := a.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxHeaderFile+1))
	if err == nil && len(text) > maxHeaderFile {
		err = fmt.Errorf("it is larger than %d bytes; send less", maxHeaderFile)
	}
	return string(text), err
}

func decisionTable(r *adminv1.CheckResponse) table {
	t := table{}
	row := func(name, value string) {
		if value != "" {
			t.rows = append(t.rows, []string{name, value})
		}
	}
	id := r.GetIdentity()
	row("decision", enum(r.GetDecision(), "DECISION_"))
	row("reason", r.GetReason())
	row("status", strconv.Itoa(int(r.GetStatus())))
	row("profile", dash(r.GetProfile()))
	row("route", dash(r.GetRoute()))
	if r.GetCost() != 0 {
		row("cost", strconv.FormatInt(r.GetCost(), 10)+" credits")
	}
	row("method", id.GetMethod())
	row("organization", strings.TrimSpace(id.GetOrganizationId()+" "+id.GetOrganizationSlug()))
	row("user", id.GetUserId())
	row("key", id.GetKeyId())
	row("permissions", strings.Join(id.GetPermissions(), ","))
	for _, h := range r.GetSetHeaders() {
		row("upstream gets", h.GetName()+": "+h.GetValue())
	}
	row("upstream lacks", strings.Join(r.GetRemovedHeaders(), ", "))
	for _, h := range r.GetAnswer().GetHeaders() {
		row("client gets", h.GetName()+": "+h.GetValue())
	}
	row("client gets", r.GetAnswer().GetBody())
	return t
}
