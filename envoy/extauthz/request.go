package extauthz

import (
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"postern/authz"
)

// profileExtension is the context extension by which a route's configuration
// names the profile.
const profileExtension = "profile"

// inputOf takes what the engine needs. A request without attributes becomes an
// empty input, which the engine refuses.
//
// Envoy sends the headers either raw and in order (encode_raw_headers) or as a
// map whose values are joined by commas and cleaned of odd bytes; the raw ones
// count where they are present.
func inputOf(request *authv3.CheckRequest) authz.Input {
	attributes := request.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	in := authz.Input{
		Profile: attributes.GetContextExtensions()[profileExtension],
		ID:      http.GetId(),
		Method:  http.GetMethod(),
		Path:    http.GetPath(),
		Host:    http.GetHost(),
	}
	raw := http.GetHeaderMap().GetHeaders()
	if len(raw) == 0 {
		in.Headers = make([]authz.Field, 0, len(http.GetHeaders()))
		for name, value := range http.GetHeaders() {
			in.Headers = appendField(in.Headers, name, value)
		}
		return in
	}
	in.Headers = make([]authz.Field, 0, len(raw))
	for _, header := range raw {
		value := header.GetValue()
		if bytes := header.GetRawValue(); len(bytes) > 0 {
			value = string(bytes)
		}
		in.Headers = appendField(in.Headers, header.GetKey(), value)
	}
	return in
}

// appendField keeps real fields: a pseudo-header is an attribute of its own.
func appendField(fields []authz.Field, name, value string) []authz.Field {
	if name == "" || name[0] == ':' {
		return fields
	}
	return append(fields, authz.Field{Name: strings.ToLower(name), Value: value})
}

// speaksGRPC reports a gRPC client, to whom Envoy shows a denial as a gRPC status.
func speaksGRPC(in *authz.Input) bool {
	for i := range in.Headers {
		if in.Headers[i].Name == "content-type" {
			kind := in.Headers[i].Value
			return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") || strings.HasPrefix(kind, "application/grpc;")
		}
	}
	return false
}
