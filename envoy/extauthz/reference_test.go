package extauthz_test

import (
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"postern/authz"
	"postern/authz/profile"
)

// What follows is the protocol by the generated types, plainly and slowly. What the
// package reads and writes in bytes must be the same.

// referenceInput is the input of a decoded request.
func referenceInput(request *authv3.CheckRequest) authz.Input {
	attributes := request.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	in := authz.Input{
		Profile: attributes.GetContextExtensions()["profile"], Stripped: attributes.GetContextExtensions()["answer"] == "short",
		ID: http.GetId(), Method: http.GetMethod(), Path: http.GetPath(), Host: http.GetHost(),
	}
	add := func(name, value string) {
		if name != "" && name[0] != ':' {
			in.Headers = append(in.Headers, authz.Field{Name: strings.ToLower(name), Value: value})
		}
	}
	if raw := http.GetHeaderMap().GetHeaders(); len(raw) > 0 {
		for _, header := range raw {
			if len(header.GetRawValue()) > 0 {
				add(header.GetKey(), string(header.GetRawValue()))
			} else {
				add(header.GetKey(), header.GetValue())
			}
		}
		return in
	}
	for name, value := range http.GetHeaders() {
		add(name, value)
	}
	return in
}

func referenceResponse(allow bool, d *authz.Decision, grpc, short bool) *authv3.CheckResponse {
	if allow {
		metadata := referenceMetadata(d)
		if short {
			metadata = nil
		}
		return &authv3.CheckResponse{
			Status: &status.Status{Code: int32(codes.OK)},
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
				Headers: referenceHeaders(d.Set), HeadersToRemove: d.Remove,
			}},
			DynamicMetadata: metadata,
		}
	}
	headers, body := d.Answer.Headers, d.Answer.Body
	if grpc {
		headers, body = d.Answer.GRPCHeaders, d.Answer.GRPCMessage
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.PermissionDenied), Message: d.Reason.String()},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status: &typev3.HttpStatus{Code: typev3.StatusCode(d.Answer.Status)}, Headers: referenceHeaders(headers), Body: body,
		}},
		DynamicMetadata: referenceMetadata(d),
	}
}

func referenceHeaders(headers []profile.Header) []*corev3.HeaderValueOption {
	var options []*corev3.HeaderValueOption
	for _, h := range headers {
		options = append(options, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: h.Name, Value: h.Value},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return options
}

func referenceMetadata(d *authz.Decision) *structpb.Struct {
	facts := map[string]*structpb.Value{}
	add := func(name, value string) {
		if value != "" && utf8.ValidString(value) {
			facts[name] = structpb.NewStringValue(value)
		}
	}
	add("reason", d.Reason.String())
	if d.Profile != nil {
		add("profile", string(d.Profile.Name))
	}
	if d.Route != nil {
		add("route", d.Route.Pattern)
	}
	if d.Stale {
		facts["stale"] = structpb.NewBoolValue(true)
	}
	add("method", string(d.Principal.Method))
	add("org", string(d.Principal.Org))
	add("plan", d.Principal.Plan)
	add("user", string(d.Principal.User))
	add("key", string(d.Principal.Key))
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"postern": structpb.NewStructValue(&structpb.Struct{Fields: facts}),
	}}
}
