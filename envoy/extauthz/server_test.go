package extauthz_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"postern/authz"
	"postern/authz/profile"
	"postern/authz/reason"
	"postern/envoy/extauthz"
)

// engine answers as told and keeps what it was asked.
type engine struct {
	verdict, resolved authz.Verdict
	decision          authz.Decision
	in                authz.Input // its text is a view, valid until the next
	asked             bool
	during            func()
}

func (e *engine) Decide(in *authz.Input, out *authz.Decision) authz.Verdict {
	e.in = *in
	e.answer(out)
	e.in.Headers, e.asked = slices.Clone(in.Headers), true
	if e.during != nil {
		e.during()
	}
	return e.verdict
}

func (e *engine) Resolve(_ context.Context, _ authz.OwnedInput, out *authz.Decision) authz.Verdict {
	e.answer(out)
	return e.resolved
}

// answer gives a decision of its own, whose memory is used again.
func (e *engine) answer(out *authz.Decision) {
	*out = e.decision
	out.Set, out.Remove = slices.Clone(out.Set), slices.Clone(out.Remove)
}

type recorder struct {
	reasons []reason.Reason
	panics  int
}

func (r *recorder) Panicked(any, []byte) { r.panics++ }

func (r *recorder) Observe(d *authz.Decision, _ time.Time, _ time.Duration) {
	r.reasons = append(r.reasons, d.Reason)
}

type fixture struct {
	*extauthz.Server
	recorder *recorder
	log      *bytes.Buffer
	now      time.Time
}

func serve(t testing.TB, e *engine) *fixture {
	t.Helper()
	f := &fixture{recorder: &recorder{}, log: &bytes.Buffer{}, now: time.Unix(1000, 0)}
	var err error
	f.Server, err = extauthz.NewServer(e, f.recorder, extauthz.NewLog(slog.New(slog.NewJSONHandler(f.log, nil)), 1), func() time.Time { return f.now })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) check(t testing.TB, r *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	return f.checkIn(t.Context(), t, r)
}

func (f *fixture) checkIn(ctx context.Context, t testing.TB, r *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	request, err := proto.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, f.Check(ctx, request, nil))
}

func decoded(t testing.TB, response []byte) *authv3.CheckResponse {
	t.Helper()
	r := &authv3.CheckResponse{}
	if err := proto.Unmarshal(response, r); err != nil {
		t.Fatalf("the response is no CheckResponse: %v", err)
	}
	return r
}

func raw(headers ...string) *authv3.CheckRequest {
	m := &corev3.HeaderMap{}
	for i := 0; i+1 < len(headers); i += 2 {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: headers[i], RawValue: []byte(headers[i+1])})
	}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
		Http: &authv3.AttributeContext_HttpRequest{Id: "7", Method: "GET", Path: "/a?key=secret-in-query", Host: "h", HeaderMap: m},
	}}}
}

func TestWhateverTheEngineAnswersADenialHasAStatus(t *testing.T) {
	for what, e := range map[string]*engine{
		"a zero decision":             {verdict: authz.Deny},
		"no verdict at all":           {},
		"a denial":                    {verdict: authz.Deny, decision: authz.Decision{Reason: reason.Forbidden, Answer: profile.Closed(reason.Forbidden)}},
		"an undecided second door":    {verdict: authz.NeedIO, resolved: authz.NeedIO},
		"an allow's reason, but none": {verdict: authz.Deny, decision: authz.Decision{Reason: reason.Allowed}},
	} {
		response := serve(t, e).check(t, raw())
		if response.GetStatus().GetCode() == 0 || response.GetOkResponse() != nil || response.GetDeniedResponse().GetStatus().GetCode() < 400 {
			t.Errorf("%s becomes %v", what, response)
		}
	}
}

func TestAnAllowOverwritesAndNeverAppends(t *testing.T) {
	e := &engine{verdict: authz.Allow, decision: authz.Decision{
		Reason: reason.Allowed, Set: []profile.Header{{Name: "x-org-id", Value: "o1"}}, Remove: []string{"authorization", "x_org_id"},
	}}
	ok := serve(t, e).check(t, raw()).GetOkResponse()
	h := ok.GetHeaders()[0]
	if h.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD ||
		h.GetAppend() != nil || //nolint:staticcheck // deprecated, and the one that Envoy 1.40 obeys
		h.GetHeader().GetValue() != "o1" || h.GetHeader().GetRawValue() != nil {
		t.Errorf("set %v", h)
	}
	if got := ok.GetHeadersToRemove(); len(got) != 2 || got[0] != "authorization" {
		t.Errorf("removed %v", got)
	}
}

func TestOnlyTheWordAsksForAShortAnswer(t *testing.T) {
	e := &engine{verdict: authz.Allow, decision: authz.Decision{Reason: reason.Allowed}}
	f := serve(t, e)
	for value, short := range map[string]bool{"short": true, "": false, "Short": false, "long": false} {
		request := raw()
		request.Attributes.ContextExtensions = map[string]string{"answer": value}
		if response := f.check(t, request); (response.GetDynamicMetadata() == nil) != short || e.in.Stripped != short {
			t.Errorf("answer is %q: stripped is %v, the response %v", value, e.in.Stripped, response)
		}
	}
	e.verdict, e.decision.Answer = authz.Deny, profile.Closed(reason.Forbidden)
	request := raw("x-a", "b")
	request.Attributes.ContextExtensions = map[string]string{"answer": "short"}
	if response := f.check(t, request); response.GetDynamicMetadata() == nil {
		t.Error("a denial says nothing to the access log")
	}
}

func TestAnAllowThatCameTooLateIsADenial(t *testing.T) {
	e := &engine{verdict: authz.Allow, decision: authz.Decision{Reason: reason.Allowed}}
	f := serve(t, e)
	e.during = func() { f.now = f.now.Add(3 * time.Second) } // the process was stopped, and goes on
	if response := f.check(t, raw()); response.GetDeniedResponse().GetStatus().GetCode() != 503 {
		t.Errorf("an allow from before the pause is %v", response)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	e.during = nil
	if response := f.checkIn(ended, t, raw()); response.GetOkResponse() != nil {
		t.Errorf("an allow after the caller's deadline is %v", response)
	}
}

func TestRawHeadersCountBeforeTheMap(t *testing.T) {
	e := &engine{verdict: authz.Deny}
	f := serve(t, e)
	r := raw("X-Api-Key", "go\xff\xfeod", ":path", "/other")
	r.Attributes.Request.Http.Headers = map[string]string{"x-api-key": "go!!od"}
	f.check(t, r)
	if len(e.in.Headers) != 1 || e.in.Headers[0] != (authz.Field{Name: "x-api-key", Value: "go\xff\xfeod"}) {
		t.Errorf("the engine sees %q", e.in.Headers)
	}
}

func TestTheDecisionLogTellsTheTrueReasonAndNoSecret(t *testing.T) {
	e := &engine{verdict: authz.Deny, decision: authz.Decision{
		Reason: reason.Revoked, Principal: authz.Principal{Key: "key_1", Org: "o1"}, Cause: errors.New("private cause"),
	}}
	f := serve(t, e)
	f.check(t, raw("authorization", "Bearer api_the-secret", "cookie", "session=the-cookie"))
	line := f.log.String()
	for _, want := range []string{`"reason":"revoked"`, `"key":"key_1"`, `"cause":"private cause"`, `"path":"/a"`, `"request_id":"7"`} {
		if !strings.Contains(line, want) {
			t.Errorf("the line lacks %s: %s", want, line)
		}
	}
	for _, secret := range []string{"the-secret", "the-cookie", "secret-in-query"} {
		if strings.Contains(line, secret) {
			t.Errorf("the line holds %q", secret)
		}
	}
	if len(f.recorder.reasons) != 1 || f.recorder.reasons[0] != reason.Revoked {
		t.Errorf("recorded %v", f.recorder.reasons)
	}
}

func TestAllowsAreSampledAndDenialsAreNot(t *testing.T) {
	var out bytes.Buffer
	log := extauthz.NewLog(slog.New(slog.NewJSONHandler(&out, nil)), 0)
	log.Write(t.Context(), &authz.Input{}, &authz.Decision{Reason: reason.Allowed}, 0)
	if out.Len() != 0 {
		t.Errorf("an allow is written: %s", out.String())
	}
	log.Write(t.Context(), &authz.Input{}, &authz.Decision{Reason: reason.Forbidden}, 0)
	if out.Len() == 0 {
		t.Error("a denial is not written")
	}
}

func TestAServerNeedsAllItsParts(t *testing.T) {
	if _, err := extauthz.NewServer(nil, nil, nil, nil); err == nil {
		t.Error("accepted")
	}
}
