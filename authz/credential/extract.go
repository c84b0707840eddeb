package credential

import (
	"slices"
	"strings"

	"postern/authz/reason"
)

// MaxLength bounds a credential and the header field around it, in bytes.
const MaxLength = 8 << 10

const (
	authorization = "authorization"
	cookie        = "cookie"
	blanks        = " \t"
)

// Found is a credential and the source it came from. Raw is a view of the
// field it was found in.
type Found struct {
	Source *Source
	Raw    string
}

// Extract finds the credential: the first source that is present decides, and
// what it holds is never made up for by a later one. It answers reason.Unset for
// a credential in Raw, MalformedCredential for a source that is present but
// unreadable (Source then says which), and MissingCredential when no source is
// present. The names of the fields must be in lower case.
func Extract(sources []Source, fields []Field) (Found, reason.Reason) {
	for i := range sources {
		source := &sources[i]
		raw, why := source.read(fields)
		switch why {
		case reason.Unset:
			return Found{Source: source, Raw: raw}, reason.Unset
		case reason.MissingCredential:
			continue
		default:
			return Found{Source: source}, why
		}
	}
	return Found{}, reason.MissingCredential
}

func (s *Source) read(fields []Field) (string, reason.Reason) {
	switch s.Place {
	case InBearer:
		return readBearer(fields)
	case InHeader:
		return readHeader(fields, s.Name)
	case InCookie:
		return readCookie(fields, s.Name)
	default:
		return "", reason.MalformedCredential
	}
}

// readBearer reads "Authorization: Bearer <b64token>" (RFC 6750 § 2.1). Another
// scheme, or the scheme with nothing behind it, is no bearer credential at all.
func readBearer(fields []Field) (string, reason.Reason) {
	value, why := single(fields, authorization)
	if why != reason.Unset {
		return "", why
	}
	const scheme = "bearer"
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", reason.MissingCredential
	}
	rest := value[len(scheme):]
	if rest == "" {
		return "", reason.MissingCredential
	}
	if rest[0] == '\t' {
		return "", reason.MalformedCredential
	}
	if rest[0] != ' ' {
		return "", reason.MissingCredential // a scheme that merely begins alike
	}
	raw := strings.TrimLeft(rest, " ")
	if !allBytes(raw, tokenByte) {
		return "", reason.MalformedCredential
	}
	return raw, reason.Unset
}

// readHeader reads a header that holds nothing but the credential.
func readHeader(fields []Field, name string) (string, reason.Reason) {
	value, why := single(fields, name)
	if why != reason.Unset {
		return "", why
	}
	if !allBytes(value, visibleByte) {
		return "", reason.MalformedCredential
	}
	return value, reason.Unset
}

// single finds the one field of the name, without the blanks that HTTP/2 leaves
// around a value. Two fields may reach the reader joined by a comma, so a comma
// counts as a repetition.
func single(fields []Field, name string) (string, reason.Reason) {
	value, seen := "", false
	for i := range fields {
		if fields[i].Name != name {
			continue
		}
		if seen {
			return "", reason.MalformedCredential
		}
		value, seen = fields[i].Value, true
	}
	if len(value) > MaxLength || strings.IndexByte(value, ',') >= 0 {
		return "", reason.MalformedCredential
	}
	value = strings.Trim(value, blanks)
	if value == "" {
		return "", reason.MissingCredential
	}
	return value, reason.Unset
}

// readCookie reads the one cookie of the name from all Cookie fields: HTTP/2
// clients may send a field for each cookie (RFC 9113 § 8.2.3).
func readCookie(fields []Field, name string) (string, reason.Reason) {
	raw, exact, seen := "", false, false
	for i := range fields {
		if fields[i].Name != cookie {
			continue
		}
		for rest, more := fields[i].Value, true; more; {
			var pair string
			pair, rest, more = strings.Cut(rest, ";")
			if cookieName(pair) != name {
				continue
			}
			if seen {
				return "", reason.MalformedCredential
			}
			seen = true
			pair = strings.Trim(pair, blanks)
			raw = strings.TrimPrefix(pair[len(name):], "=")
			exact = allBytes(raw, tokenByte) && len(raw) <= MaxLength
		}
	}
	if seen && raw != "" && !exact {
		return "", reason.MalformedCredential
	}
	if raw == "" {
		return "", reason.MissingCredential
	}
	return raw, reason.Unset
}

// AppendCookies appends a Cookie header's value without every cookie of the names,
// for the upstream, and reports whether there was one. What is in the buffer already
// is the value of an earlier Cookie header.
func AppendCookies(into []byte, value string, names []string) (kept []byte, found bool) {
	for rest, more := value, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, ";")
		if slices.Contains(names, cookieName(pair)) {
			found = true
			continue
		}
		if pair = strings.Trim(pair, blanks); pair == "" {
			continue
		}
		if len(into) > 0 {
			into = append(into, "; "...)
		}
		into = append(into, pair...)
	}
	return into, found
}

// cookieName is the name as the most lenient upstream would read it: without the
// blanks around it, and with or without a value.
func cookieName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return strings.Trim(name, blanks)
}

// LooksLikeToken reports whether the credential has the shape of a signed token
// in compact form (RFC 7515 § 7.1): three non-empty parts in base64url, the first
// a JSON object.
func LooksLikeToken(raw string) bool {
	if !strings.HasPrefix(raw, "ey") {
		return false
	}
	dots, length := 0, 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '.':
			if length == 0 {
				return false
			}
			dots++
			length = 0
		case isURLByte(c):
			length++
		default:
			return false
		}
	}
	return dots == 2 && length > 0
}

// The classes of bytes.
const (
	alphanumeric = 1 << iota
	urlByte      // of base64url (RFC 4648 § 5)
	tokenByte    // of a b64token (RFC 6750 § 2.1)
	visibleByte
)

// classes are those of each byte.
var classes = func() (all [256]byte) {
	for c := range all {
		b, class := byte(c), byte(0)
		if '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z' {
			class |= alphanumeric
		}
		if class != 0 || b == '-' || b == '_' {
			class |= urlByte
		}
		if class != 0 || strings.IndexByte(".~+/=", b) >= 0 {
			class |= tokenByte
		}
		if 0x21 <= b && b <= 0x7e {
			class |= visibleByte
		}
		all[c] = class
	}
	return all
}()

// allBytes reports whether each byte is of the class.
func allBytes(text string, class byte) bool {
	all := class
	for i := 0; i < len(text); i++ {
		all &= classes[text[i]]
	}
	return all == class
}

func isURLByte(c byte) bool { return classes[c]&urlByte != 0 }
