package transport

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// head reads the headers of calls. A client sends nearly every call with the same
// ones, which after the first call are mere indices into a table that both sides
// keep (RFC 7541): such a block means what it meant before, as long as no other
// block has changed the table.
type head struct {
	fields []hpack.HeaderField
	size   int

	call  call
	block []byte // of only indices, which call and fields are of; empty: none

	// Of a block that comes in several frames.
	stream uint32
	ends   bool // the stream, with its headers
	parts  []byte
}

// call is what the headers say.
type call struct {
	unary   bool          // it is of the method that is called often, and nothing is odd about it
	timeout time.Duration // 0: none
	length  int64         // of the body; negative where it is not told
	trailer bool          // no pseudo-header is there
	path    string
}

// add takes one field from the decoder.
func (h *head) add(f hpack.HeaderField) {
	if h.size += int(f.Size()); h.size <= maxHeaders {
		h.fields = append(h.fields, f)
	}
}

// errTooLarge and errMalformed concern one stream; any other error of decode ends
// the connection, because the table is no longer what the client thinks it is.
var (
	errTooLarge  = errors.New("the headers are too large")
	errMalformed = errors.New("the headers are malformed")
)

// decode reads a block of headers.
func (h *head) decode(d *hpack.Decoder, block []byte, unary string) (call, error) {
	if len(h.block) > 0 && bytes.Equal(block, h.block) {
		return h.call, nil
	}
	h.block, h.fields, h.size = h.block[:0], h.fields[:0], 0
	if _, err := d.Write(block); err != nil {
		return call{}, http2.ConnectionError(http2.ErrCodeCompression)
	}
	if err := d.Close(); err != nil {
		return call{}, http2.ConnectionError(http2.ErrCodeCompression)
	}
	if h.size > maxHeaders {
		return call{}, errTooLarge
	}
	c, ok := readCall(h.fields, unary)
	if !ok {
		return call{}, errMalformed
	}
	if onlyIndices(block) {
		h.block, h.call = append(h.block, block...), c
	}
	return c, nil
}

// onlyIndices reports a block of fields that are one byte each and leave the table
// as it is (RFC 7541 § 6.1).
func onlyIndices(block []byte) bool {
	for _, b := range block {
		if b < 0x80 || b == 0xff {
			return false
		}
	}
	return true
}

// readCall judges the headers (RFC 9113 § 8.2, § 8.3) and reads what is of interest.
func readCall(fields []hpack.HeaderField, unary string) (c call, ok bool) {
	c.length, c.trailer = -1, true
	var method, scheme, kind string
	odd, regular := false, false
	once := func(to *string, value string) bool {
		fresh := *to == ""
		*to = value
		return fresh && value != ""
	}
	for i := range fields {
		name, value := fields[i].Name, fields[i].Value
		if strings.HasPrefix(name, ":") {
			ok = !regular
			c.trailer = false
			switch name {
			case ":method":
				ok = ok && once(&method, value)
			case ":scheme":
				ok = ok && once(&scheme, value)
			case ":path":
				ok = ok && once(&c.path, value)
			case ":authority":
			default:
				ok = false
			}
			if !ok {
				return c, false
			}
			continue
		}
		regular = true
		switch name {
		case "content-type":
			kind = value
		case "grpc-timeout":
			if c.timeout, ok = parseTimeout(value); !ok {
				odd = true
			}
		case "grpc-encoding":
			odd = odd || value != "identity"
		case "content-length":
			length, err := strconv.ParseInt(value, 10, 64)
			if err != nil || length < 0 {
				return c, false
			}
			c.length = length
		case "te":
			if value != "trailers" {
				return c, false
			}
		case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
			return c, false
		default:
			if !isLower(name) {
				return c, false
			}
		}
	}
	if !c.trailer && (method == "" || scheme == "" || c.path == "") {
		return c, false
	}
	c.unary = c.path == unary && method == "POST" && !odd && (kind == "application/grpc" || kind == "application/grpc+proto")
	return c, true
}

func isLower(name string) bool {
	for i := 0; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' || name[i] <= ' ' || name[i] >= 0x7f {
			return false
		}
	}
	return name != ""
}

// parseTimeout reads a grpc-timeout: up to eight digits and a unit (gRPC over HTTP/2,
// "Requests").
func parseTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	amount, err := strconv.ParseUint(text[:len(text)-1], 10, 64)
	if err != nil {
		return 0, false
	}
	units := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}
	unit, known := units[text[len(text)-1]]
	if !known {
		return 0, false
	}
	const most = 100 * 24 * time.Hour // and far more than anybody waits
	if amount > uint64(most/unit) {
		return most, true
	}
	return max(time.Duration(amount)*unit, 1), true //nolint:gosec // bounded
}
