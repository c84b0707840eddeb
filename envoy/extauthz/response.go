package extauthz

import (
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"

	"postern/authz"
	"postern/authz/profile"
	"postern/authz/reason"
)

// metadataKey holds the decision's facts in the dynamic metadata, for Envoy's
// access log and rate limiter.
const metadataKey = "postern"

// The fields that are written, by their numbers (service/auth/v3, config/core/v3,
// type/v3, google/rpc/status, google/protobuf/struct).
const (
	responseStatus   = 1
	responseDenied   = 2
	responseAllowed  = 3
	responseMetadata = 4

	statusCode    = 1
	statusMessage = 2

	deniedStatus  = 1
	deniedHeaders = 2
	deniedBody    = 3

	allowedHeaders = 2
	allowedRemove  = 5

	optionHeader = 1
	optionAction = 3

	structFields = 1

	valueText   = 3
	valueStruct = 5
)

// appendAllowed is the one maker of an allowing response. Where it is to be short,
// the metadata is left out: an Envoy takes longer to keep it than to read the rest,
// and finds most of it in the headers that are set.
func appendAllowed(b []byte, d *authz.Decision, short bool) []byte {
	b = appendTag(b, responseStatus)
	b = append(b, 0) // the code OK is the zero value
	b, allowed := open(b, responseAllowed)
	b = appendHeaders(b, allowedHeaders, d.Set)
	for _, name := range d.Remove {
		b = appendElement(b, allowedRemove, name)
	}
	b = shut(b, allowed)
	if short {
		return b
	}
	return appendMetadata(b, d)
}

// appendDenied is the one maker of a denying response. Its status is never zero:
// Envoy takes that for an allow, whatever else the response says.
func appendDenied(b []byte, d *authz.Decision, grpc bool) []byte {
	answer := d.Answer
	if answer == nil { // no decision: still a denial, and a fault
		answer = profile.Closed(reason.Internal)
	}
	headers, body := answer.Headers, answer.Body
	if grpc {
		headers, body = answer.GRPCHeaders, answer.GRPCMessage
	}
	b, status := open(b, responseStatus)
	b = appendNumber(b, statusCode, uint64(codes.PermissionDenied))
	b = appendText(b, statusMessage, d.Reason.String())
	b = shut(b, status)

	b, denied := open(b, responseDenied)
	b, status = open(b, deniedStatus)
	b = appendNumber(b, statusCode, uint64(answer.Status)) //nolint:gosec // an HTTP status, checked at load
	b = shut(b, status)
	b = appendHeaders(b, deniedHeaders, headers)
	b = appendText(b, deniedBody, body)
	b = shut(b, denied)
	return appendMetadata(b, d)
}

// appendHeaders replaces every copy of a header the client sent. The deprecated
// append stays unset, because Envoy 1.40 obeys it and not append_action.
func appendHeaders(b []byte, number protowire.Number, headers []profile.Header) []byte {
	for i := range headers {
		var option, header int
		b, option = open(b, number)
		b, header = open(b, optionHeader)
		b = appendText(b, headerKey, headers[i].Name)
		b = appendText(b, headerValue, headers[i].Value)
		b = shut(b, header)
		b = appendNumber(b, optionAction, uint64(corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
		b = shut(b, option)
	}
	return b
}

func appendMetadata(b []byte, d *authz.Decision) []byte {
	b, metadata := open(b, responseMetadata)
	b, entry := open(b, structFields)
	b = appendText(b, entryKey, metadataKey)
	b, value := open(b, entryValue)
	b, facts := open(b, valueStruct)
	b = appendFact(b, "reason", d.Reason.String())
	if d.Profile != nil {
		b = appendFact(b, "profile", string(d.Profile.Name))
	}
	if d.Route != nil {
		b = appendFact(b, "route", d.Route.Pattern)
	}
	if d.Stale {
		b = append(b, staleFact...)
	}
	p := &d.Principal
	b = appendFact(b, "method", string(p.Method))
	b = appendFact(b, "org", string(p.Org))
	b = appendFact(b, "plan", p.Plan)
	b = appendFact(b, "user", string(p.User))
	b = appendFact(b, "key", string(p.Key))
	b = shut(b, facts)
	b = shut(b, value)
	b = shut(b, entry)
	return shut(b, metadata)
}

// staleFact is the entry of "stale": true.
const staleFact = "\x0a\x0b\x0a\x05stale\x12\x02\x20\x01"

// appendFact writes an entry of a Struct. What is no text is left out: it would
// cost the whole response.
func appendFact(b []byte, name, fact string) []byte {
	if fact == "" || !utf8.ValidString(fact) {
		return b
	}
	b, entry := open(b, structFields)
	b = appendText(b, entryKey, name)
	b, value := open(b, entryValue)
	b = appendText(b, valueText, fact)
	b = shut(b, value)
	return shut(b, entry)
}

// open begins a message in a field and returns where its content begins; shut ends
// it. Between them its length is not known: one byte is kept for it, which most
// messages do with.
func open(b []byte, number protowire.Number) ([]byte, int) {
	b = append(appendTag(b, number), 0)
	return b, len(b)
}

func shut(b []byte, begin int) []byte {
	length := len(b) - begin
	if length < 0x80 {
		b[begin-1] = byte(length)
		return b
	}
	var written [10]byte
	prefix := protowire.AppendVarint(written[:0], uint64(length)) //nolint:gosec // not negative
	b = append(b, prefix[1:]...)                                  // room
	copy(b[begin+len(prefix)-1:], b[begin:begin+length])
	copy(b[begin-1:], prefix)
	return b
}

// appendTag begins a length-delimited field; its number is under 16.
func appendTag(b []byte, number protowire.Number) []byte {
	return append(b, byte(number)<<3|byte(protowire.BytesType)) //nolint:gosec // under 16
}

// appendText writes a text; an empty one is the zero value and not written.
func appendText(b []byte, number protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	return appendElement(b, number, value)
}

// appendElement writes a text of a list, whatever it is.
func appendElement(b []byte, number protowire.Number, value string) []byte {
	b = appendTag(b, number)
	if len(value) < 0x80 {
		b = append(b, byte(len(value)))
	} else {
		b = protowire.AppendVarint(b, uint64(len(value)))
	}
	return append(b, value...)
}

// appendNumber writes a number, which is not zero.
func appendNumber(b []byte, number protowire.Number, value uint64) []byte {
	b = append(b, byte(number)<<3|byte(protowire.VarintType)) //nolint:gosec // under 16
	return protowire.AppendVarint(b, value)
}
