package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The bounds of a request to be decided, as wide as a gateway's.
const (
	maxHeaders     = 200
	maxHeaderBytes = 64 << 10
)

// Check decides a request as the engine would now, without any effect.
func (s *Service) Check(ctx context.Context, request Request) (Explanation, error) {
	var c checks
	if request.Profile != "" {
		c.profile(s, request.Profile)
	} else {
		c.required("host", request.Host, "name the host or the profile")
	}
	if request.Method == "" {
		request.Method = "GET"
	}
	if request.Scheme == "" {
		request.Scheme = "https"
	}
	if request.Scheme != "http" && request.Scheme != "https" {
		c.add("scheme", "is unknown", "use http or https")
	}
	if !strings.HasPrefix(request.Path, "/") {
		c.add("path", "does not begin with a slash", "give the path with its query, such as /api/v1/jobs")
	}
	c.headers(&request)
	if err := c.err(); err != nil {
		return Explanation{}, err
	}
	explanation, err := s.decider.Explain(ctx, request)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Explanation{}, err
	}
	if err != nil {
		return Explanation{}, &Error{Code: Unavailable, message: "the engine could not be asked; see the server's log", cause: err}
	}
	return explanation, nil
}

// headers asks for names that can occur in a request, and spells them in lower
// case as a gateway does. It never repeats a value.
func (c *checks) headers(request *Request) {
	if len(request.Headers) > maxHeaders {
		c.add("headers", fmt.Sprintf("has %d entries", len(request.Headers)), fmt.Sprintf("use at most %d", maxHeaders))
		return
	}
	size := 0
	for i := range request.Headers {
		h := &request.Headers[i]
		h.Name = strings.ToLower(h.Name)
		if h.Name == "" || !only(h.Name, isHeaderByte) {
			c.add(fmt.Sprintf("headers[%d].name", i), "is not a header name", "use letters, digits and hyphens")
		}
		if strings.ContainsAny(h.Value, "\r\n\x00") {
			c.add(fmt.Sprintf("headers[%d].value", i), "has a line break", "leave it out")
		}
		size += len(h.Name) + len(h.Value)
	}
	if size > maxHeaderBytes {
		c.add("headers", "is too large", fmt.Sprintf("use at most %d bytes in all", maxHeaderBytes))
	}
}

// isHeaderByte reports a character of a token (RFC 9110 § 5.6.2).
func isHeaderByte(b byte) bool {
	return isAlphanumeric(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}
