package profile

import (
	"strconv"
	"strings"
	"sync"

	"postern/authz/reason"
)

// answers are the pre-rendered denials, by Reason.
type answers struct {
	byReason []*Answer
}

func (a *answers) of(r reason.Reason) *Answer {
	if int(r) < len(a.byReason) && a.byReason[r] != nil {
		return a.byReason[r]
	}
	return a.byReason[reason.Internal] // not a denial: a fault of the caller's
}

// Answer is the denial of a Reason on a route; the route may be nil. It is never
// nil, and it is shared: the caller must not change it.
func (p *Profile) Answer(route *Route, r reason.Reason) *Answer {
	if route != nil && route.answers != nil {
		return route.answers.of(r)
	}
	return p.answers.of(r)
}

var closed = sync.OnceValue(func() *answers {
	return renderAnswers(false, func(reason.Reason) draft { return draft{} })
})

// Closed is the denial of a Reason where no profile is known. It is never nil.
func Closed(r reason.Reason) *Answer { return closed().of(r) }

// draft is what an answer is rendered from; what it leaves out is built in.
type draft struct {
	status  int
	message string
	body    *tree
	headers []Header
}

// renderAnswers renders the denial of every Reason.
func renderAnswers(bearer bool, drafts func(reason.Reason) draft) *answers {
	denials := reason.Denials()
	all := &answers{byReason: make([]*Answer, denials[len(denials)-1]+1)}
	for _, r := range denials {
		all.byReason[r] = render(r, drafts(r), bearer)
	}
	return all
}

func render(r reason.Reason, d draft, bearer bool) *Answer {
	fill := filling{r, d.status, d.message}
	if fill.status == 0 {
		fill.status = r.Status()
	}
	if fill.message == "" {
		fill.message = r.Message()
	}
	a := &Answer{Reason: r, Status: fill.status, GRPCStatus: grpcStatus(fill.status), GRPCMessage: fill.message}
	if d.body != nil {
		a.Body = fill.json(d.body)
	} else {
		a.Body = fill.json(builtInBody)
	}
	a.Headers = []Header{{"content-type", "application/json"}, {"cache-control", "no-store"}}
	switch a.Status {
	case 401:
		if bearer {
			a.Headers = append(a.Headers, Header{"www-authenticate", "Bearer"})
		}
	case 405:
		a.Headers = append(a.Headers, Header{"allow", strings.Join(methodNames[:], ", ")})
	case 503:
		a.Headers = append(a.Headers, Header{"retry-after", "1"})
	}
	for _, h := range d.headers {
		a.Headers = setHeader(a.Headers, h.Name, fill.text(h.Value))
	}
	a.GRPCHeaders = []Header{{"content-type", "text/plain"}, {"grpc-status", strconv.Itoa(a.GRPCStatus)}}
	return a
}

// builtInBody is {"error":"{{.Reason}}","message":"{{.Message}}"}.
var builtInBody = &tree{
	kind:  mapTree,
	keys:  []treeKey{{name: "error"}, {name: "message"}},
	items: []*tree{{tag: "!!str", value: "{{.Reason}}"}, {tag: "!!str", value: "{{.Message}}"}},
}

func setHeader(headers []Header, name, value string) []Header {
	for i := range headers {
		if headers[i].Name == name {
			headers[i].Value = value
			return headers
		}
	}
	return append(headers, Header{name, value})
}

// statuses are the ones a denial may have: all that a proxy passes on as they are.
var statuses = []int{400, 401, 402, 403, 404, 405, 413, 429, 431, 500, 503}

// grpcStatus is the gRPC code that says the same as an HTTP status.
func grpcStatus(status int) int {
	switch status {
	case 400:
		return 3 // INVALID_ARGUMENT
	case 401:
		return 16 // UNAUTHENTICATED
	case 402:
		return 9 // FAILED_PRECONDITION
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 5 // NOT_FOUND
	case 405:
		return 12 // UNIMPLEMENTED
	case 413, 429, 431:
		return 8 // RESOURCE_EXHAUSTED
	case 503:
		return 14 // UNAVAILABLE
	}
	return 13 // INTERNAL
}
