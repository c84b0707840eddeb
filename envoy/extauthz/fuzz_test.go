package extauthz_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"postern/authz"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
)

// FuzzRequestIsReadAsTheGeneratedTypeReadsIt: the same fields for any bytes that the
// generated type accepts, and a denial, without asking the engine, for all others.
func FuzzRequestIsReadAsTheGeneratedTypeReadsIt(f *testing.F) {
	for _, seed := range requestSeeds(f) {
		f.Add(seed)
	}
	e := &engine{verdict: authz.Deny, decision: authz.Decision{Reason: reason.Forbidden, Answer: profile.Closed(reason.Forbidden)}}
	server := serve(f, e)
	f.Fuzz(func(t *testing.T, b []byte) {
		e.in, e.asked = authz.Input{}, false
		server.log.Reset()
		response := decoded(t, server.Check(t.Context(), b, nil))
		var request authv3.CheckRequest
		if err := proto.Unmarshal(b, &request); err != nil {
			if e.asked || response.GetDeniedResponse().GetStatus().GetCode() != 400 {
				t.Fatalf("the generated type refuses it (%v), and it is answered %v", err, response)
			}
			return
		}
		if !e.asked {
			t.Fatalf("the generated type accepts it, and it is answered %v", response)
		}
		want := referenceInput(&request)
		if len(request.GetAttributes().GetRequest().GetHttp().GetHeaderMap().GetHeaders()) == 0 { // a map has no order
			sortFields(want.Headers)
			sortFields(e.in.Headers)
		}
		if got := e.in; got.Profile != want.Profile || got.ID != want.ID || got.Method != want.Method || got.Path != want.Path ||
			got.Host != want.Host || got.Stripped != want.Stripped || !slices.Equal(got.Headers, want.Headers) || got.DryRun {
			t.Fatalf("read %+v\nwant %+v", got, want)
		}
	})
}

func sortFields(fields []authz.Field) {
	slices.SortFunc(fields, func(a, b authz.Field) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
}

// requestSeeds have something in every field, and what a careless reader gets wrong.
func requestSeeds(f *testing.F) [][]byte {
	fact := &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{
		structpb.NewNumberValue(1), structpb.NewStringValue("x"), structpb.NewNullValue(), structpb.NewBoolValue(true),
	}})}}
	metadata := &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"f": fact}, TypedFilterMetadata: map[string]*anypb.Any{"t": {TypeUrl: "u", Value: []byte{1}}}}
	peer := &authv3.AttributeContext_Peer{
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "10.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 80},
		}}},
		Service: "s", Labels: map[string]string{"l": "v"}, Principal: "p", Certificate: "c",
	}
	http := &authv3.AttributeContext_HttpRequest{
		Id: "7", Method: "GET", Path: "/a?b=c", Host: "h", Scheme: "http", Query: "q", Fragment: "f", Size: 3, Protocol: "HTTP/1.1", Body: "b", RawBody: []byte{0xff},
		Headers: map[string]string{":path": "/a", "X-A": "1", "x-a": "2", "": "3"},
	}
	full := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer, Destination: peer, Request: &authv3.AttributeContext_Request{Time: timestamppb.New(time.Unix(1, 2)), Http: http},
		ContextExtensions: map[string]string{"profile": "authenta", "answer": "short", "other": "x"}, MetadataContext: metadata, RouteMetadataContext: metadata,
		TlsSession: &authv3.AttributeContext_TLSSession{Sni: "sni"},
	}}
	withRaw := proto.CloneOf(full)
	withRaw.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: ":method", RawValue: []byte("GET")}, {Key: "Authorization", RawValue: []byte("Bearer \xff")}, {Key: "b", Value: "v"}, {Key: "c", Value: "v", RawValue: []byte("r")},
	}}
	var seeds [][]byte
	for _, message := range []proto.Message{&authv3.CheckRequest{}, full, withRaw, raw("a", "b")} {
		b, err := proto.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		half := b[:len(b)/2]
		seeds = append(seeds, b, half, append(slices.Clone(b), b...), append(slices.Clone(b), 0x0c), append(slices.Clone(b), 0x13, 0x14))
	}
	in := func(numbers ...byte) []byte { return within([]byte("\xff"), numbers...) }
	return append(seeds, in(1, 4, 2, 1), in(1, 4, 2, 6), in(1, 4, 2, 12), in(1, 4, 2, 3, 1), in(1, 4, 2, 13, 1, 3), in(1, 4, 2, 13, 1, 2),
		in(1, 10, 1), in(1, 11, 1, 2, 1), in(1, 1, 3, 1), in(1, 12, 1), in(9), in(1, 9))
}

// within puts bytes into a field of a field, the outermost first.
func within(b []byte, numbers ...byte) []byte {
	for _, number := range slices.Backward(numbers) {
		b = protowire.AppendBytes([]byte{number<<3 | 2}, b)
	}
	return b
}

func TestMessagesMayLieInEachOtherAsDeepAsTheGeneratedTypeAllows(t *testing.T) {
	e := &engine{verdict: authz.Deny}
	server := serve(t, e)
	accepted := 0
	for lists := 4985; lists < 5005; lists++ { // a list in a list, about as deep as is allowed
		deep := []byte{}
		for range lists {
			deep = within(deep, 6, 1)
		}
		for _, b := range [][]byte{within(deep, 1, 11, 1, 2, 1, 2), within(append(deep, 0x28, 1), 1, 11, 1, 2, 1, 2)} {
			e.asked = false
			server.Check(t.Context(), b, nil)
			err := proto.Unmarshal(b, &authv3.CheckRequest{})
			if e.asked != (err == nil) {
				t.Errorf("%d lists: accepted %t, by the generated type: %v", lists, e.asked, err)
			}
			if e.asked {
				accepted++
			}
		}
	}
	if accepted == 0 || accepted == 40 {
		t.Errorf("%d of 40 were accepted: the bound was not met", accepted)
	}
}

// FuzzResponseIsWhatTheGeneratedTypeWrites: every response decodes to the message
// that the generated types make.
func FuzzResponseIsWhatTheGeneratedTypeWrites(f *testing.F) {
	f.Add(true, uint8(1), "x-org-id\x00o1\x00x-permissions\x00READ,WRITE", "authorization\x00x_org_id", "o1", "gold", "u1", "k1", 403, "{}", false, false)
	f.Add(true, uint8(1), "x-org-id\x00o1", "authorization", "o1", "gold", "u1", "k1", 128, "", false, false)
	f.Add(false, uint8(14), "", "", "", "\xff", "", "", 401, strings.Repeat("b", 300), true, true)
	f.Add(false, uint8(3), "a\x00"+strings.Repeat("v", 200), strings.Repeat("n\x00", 90), strings.Repeat("o", 20_000), "", "", "", 0, "", false, false)
	e := &engine{}
	server := serve(f, e)
	f.Fuzz(func(t *testing.T, allow bool, why uint8, set, remove, org, plan, user, key string, status int, body string, stale, grpc bool) {
		valid := func(text string) string { return strings.ToValidUTF8(text, "?") } // as all of it is: see the engine and the profile
		answer := &profile.Answer{Status: 400 + status&127, Body: valid(body), GRPCMessage: valid(plan), GRPCHeaders: []profile.Header{{Name: "grpc-status", Value: "7"}}}
		d := authz.Decision{
			Reason: reason.Reason(why), Answer: answer, Stale: stale, Profile: &profile.Profile{Name: "p"}, Route: &profile.Route{Pattern: user},
			Principal: authz.Principal{Method: identity.MethodAPIKey, Org: identity.OrgID(org), Plan: plan, User: identity.UserID(user), Key: identity.KeyID(key)},
		}
		if parts := strings.Split(valid(set), "\x00"); set != "" {
			for i := 0; i+1 < len(parts); i += 2 {
				d.Set = append(d.Set, profile.Header{Name: parts[i], Value: parts[i+1]})
			}
			answer.Headers = d.Set
		}
		if remove != "" {
			d.Remove = strings.Split(valid(remove), "\x00")
		}
		e.verdict, e.decision = authz.Deny, d
		if allow {
			e.verdict = authz.Allow
		}
		request, short := raw("content-type", "application/json"), status&128 != 0
		if grpc {
			request = raw("content-type", "application/grpc")
		}
		if short {
			request.Attributes.ContextExtensions = map[string]string{"answer": "short"}
		}
		server.log.Reset()
		got, want := server.check(t, request), referenceResponse(allow, &d, grpc, short)
		if !proto.Equal(got, want) {
			t.Fatalf("wrote %v\nwant  %v", got, want)
		}
	})
}
