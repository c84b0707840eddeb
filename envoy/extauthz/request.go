package extauthz

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"

	"postern/authz"
)

// The context extensions by which a route's configuration names the profile, and
// wants short answers to its allows: it strips the protected names itself, and needs
// no metadata.
const (
	profileExtension = "profile"
	answerExtension  = "answer"
	answerShort      = "short"
)

// The fields that are read, by their numbers (service/auth/v3, config/core/v3).
const (
	requestAttributes = 1

	attributesRequest    = 4
	attributesExtensions = 10

	requestHTTP = 2

	httpID        = 1
	httpMethod    = 2
	httpHeaders   = 3
	httpPath      = 4
	httpHost      = 5
	httpHeaderMap = 13

	headerMapHeaders = 1

	headerKey      = 1
	headerValue    = 2
	headerRawValue = 3

	entryKey   = 1
	entryValue = 2
)

// decoder reads CheckRequests from their bytes. It reads what the engine needs, and
// judges the rest: what the generated type refuses is refused here.
type decoder struct {
	check, attributes, request, http, headers, header *schema
}

func newDecoder() (*decoder, error) {
	check, err := schemas{}.of((&authv3.CheckRequest{}).ProtoReflect().Descriptor())
	if err != nil {
		return nil, err
	}
	d := &decoder{check: check}
	d.attributes = check.fields[requestAttributes].of
	d.request = d.attributes.fields[attributesRequest].of
	d.http = d.request.fields[requestHTTP].of
	d.headers = d.http.fields[httpHeaderMap].of
	d.header = d.headers.fields[headerMapHeaders].of
	return d, nil
}

// reading is what one request says. Its strings are views of the request's bytes.
type reading struct {
	in     authz.Input
	raw    int           // how many headers header_map has, pseudo-headers too
	joined []authz.Field // of the headers map, as received
}

// decode reads a request; it is not ok for bytes that are no CheckRequest. A
// request without attributes is an empty input, which the engine refuses.
//
// Envoy sends the headers either raw and in order (encode_raw_headers) or as a
// map whose values are joined by commas and cleaned of odd bytes; the raw ones
// count where they are present.
func (d *decoder) decode(b []byte, r *reading) bool {
	r.in = authz.Input{Headers: r.in.Headers[:0]}
	r.raw, r.joined = 0, r.joined[:0]
	if !d.readCheck(b, r) {
		return false
	}
	if r.raw == 0 {
		for _, header := range r.joined {
			r.keep(strings.ToLower(header.Name), header.Value)
		}
	}
	return true
}

// keep takes a header: not a pseudo-header, which is an attribute of its own.
func (r *reading) keep(name, value string) {
	if name != "" && name[0] != ':' {
		r.in.Headers = append(r.in.Headers, authz.Field{Name: name, Value: value})
	}
}

// Each of the following reads the message of its name. Of a field that is there
// twice the last one counts, and messages that are there twice are one.

func (d *decoder) readCheck(b []byte, r *reading) bool {
	return each(b, func(number protowire.Number, value []byte) bool {
		if number == requestAttributes {
			return d.readAttributes(value, r)
		}
		return d.check.accepts(number, value, maxDepth-1)
	})
}

func (d *decoder) readAttributes(b []byte, r *reading) bool {
	return each(b, func(number protowire.Number, value []byte) bool {
		switch number {
		case attributesRequest:
			return d.readRequest(value, r)
		case attributesExtensions:
			extension, ok := readEntry(value)
			if !ok {
				return false
			}
			switch extension.Name {
			case profileExtension:
				r.in.Profile = extension.Value
			case answerExtension:
				r.in.Stripped = extension.Value == answerShort
			}
			return true
		}
		return d.attributes.accepts(number, value, maxDepth-2)
	})
}

func (d *decoder) readRequest(b []byte, r *reading) bool {
	return each(b, func(number protowire.Number, value []byte) bool {
		if number == requestHTTP {
			return d.readHTTP(value, r)
		}
		return d.request.accepts(number, value, maxDepth-3)
	})
}

func (d *decoder) readHTTP(b []byte, r *reading) bool {
	return each(b, func(number protowire.Number, value []byte) (ok bool) {
		switch number {
		case httpID:
			r.in.ID, ok = view(value)
		case httpMethod:
			r.in.Method, ok = view(value)
		case httpPath:
			r.in.Path, ok = view(value)
		case httpHost:
			r.in.Host, ok = view(value)
		case httpHeaders:
			var header authz.Field
			if header, ok = readEntry(value); ok {
				r.joined = put(r.joined, header)
			}
		case httpHeaderMap:
			ok = d.readHeaderMap(value, r)
		default:
			ok = d.http.accepts(number, value, maxDepth-4)
		}
		return ok
	})
}

func (d *decoder) readHeaderMap(b []byte, r *reading) bool {
	return each(b, func(number protowire.Number, value []byte) bool {
		if number != headerMapHeaders {
			return d.headers.accepts(number, value, maxDepth-5)
		}
		return d.readHeader(value, r)
	})
}

// readHeader reads a HeaderValue: raw_value is the value where it is not empty.
func (d *decoder) readHeader(b []byte, r *reading) bool {
	var name, value, raw string
	ok := each(b, func(number protowire.Number, content []byte) (ok bool) {
		switch number {
		case headerKey:
			name, ok = viewLower(content)
		case headerValue:
			value, ok = view(content)
		case headerRawValue:
			raw, ok = lend(content), true
		default:
			ok = d.header.accepts(number, content, maxDepth-6)
		}
		return ok
	})
	if raw != "" {
		value = raw
	}
	r.raw++
	r.keep(name, value)
	return ok
}

// readEntry reads an entry of a map of strings.
func readEntry(b []byte) (entry authz.Field, ok bool) {
	ok = each(b, func(number protowire.Number, value []byte) (ok bool) {
		switch number {
		case entryKey:
			entry.Name, ok = view(value)
		case entryValue:
			entry.Value, ok = view(value)
		default:
			ok = true
		}
		return ok
	})
	return entry, ok
}

// view lends the bytes to a string, which must be UTF-8.
func view(b []byte) (string, bool) { return lend(b), utf8.Valid(b) }

// viewLower is view in lower case; nearly every name is in it already.
func viewLower(b []byte) (string, bool) {
	for _, c := range b {
		if c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			name, ok := view(b)
			return strings.ToLower(name), ok
		}
	}
	return lend(b), true
}

func lend(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// put adds an entry to a map in the order of arrival; a key that is there is
// overwritten.
func put(fields []authz.Field, entry authz.Field) []authz.Field {
	for i := range fields {
		if fields[i].Name == entry.Name {
			fields[i] = entry
			return fields
		}
	}
	return append(fields, entry)
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
