package extauthz

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"postern/authz"
	"postern/authz/profile"
	"postern/authz/reason"
)

// metadataKey holds the decision's facts in the dynamic metadata, for Envoy's
// access log and rate limiter.
const metadataKey = "postern"

// allowed is the one maker of an allowing response.
func allowed(d *authz.Decision) *authv3.CheckResponse {
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers:         overwriting(d.Set),
			HeadersToRemove: d.Remove,
		}},
		DynamicMetadata: metadata(d),
	}
}

// denied is the one maker of a denying response. Its status is never zero: Envoy
// takes that for an allow, whatever else the response says.
func denied(d *authz.Decision, grpc bool) *authv3.CheckResponse {
	answer := d.Answer
	if answer == nil { // no decision: still a denial, and a fault
		answer = profile.Closed(reason.Internal)
	}
	headers, body := answer.Headers, answer.Body
	if grpc {
		headers, body = answer.GRPCHeaders, answer.GRPCMessage
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(codes.PermissionDenied), Message: d.Reason.String()},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(answer.Status)}, //nolint:gosec // an HTTP status, checked at load
			Headers: overwriting(headers),
			Body:    body,
		}},
		DynamicMetadata: metadata(d),
	}
}

// overwriting replaces every copy of a header the client sent. The deprecated
// append stays unset, because Envoy 1.40 obeys it and not append_action.
func overwriting(headers []profile.Header) []*corev3.HeaderValueOption {
	options := make([]*corev3.HeaderValueOption, len(headers))
	for i, h := range headers {
		options[i] = &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: h.Name, Value: h.Value},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		}
	}
	return options
}

func metadata(d *authz.Decision) *structpb.Struct {
	facts := map[string]*structpb.Value{"reason": structpb.NewStringValue(d.Reason.String())}
	add := func(name, value string) {
		if value != "" {
			facts[name] = structpb.NewStringValue(value)
		}
	}
	if d.Profile != nil {
		add("profile", string(d.Profile.Name))
	}
	if d.Route != nil {
		add("route", d.Route.Pattern)
	}
	if d.Stale {
		facts["stale"] = structpb.NewBoolValue(true)
	}
	p := &d.Principal
	add("method", string(p.Method))
	add("org", string(p.Org))
	add("plan", p.Plan)
	add("user", string(p.User))
	add("key", string(p.Key))
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		metadataKey: structpb.NewStructValue(&structpb.Struct{Fields: facts}),
	}}
}
