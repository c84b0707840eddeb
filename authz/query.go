package authz

import (
	"strings"
	"unicode/utf8"
)

// maxParameter bounds a parameter's decoded value, in bytes.
const maxParameter = 256

// queryParameter reads one parameter of a raw query, and refuses a query in which
// another parser could find a different value: ok is false for a bad escape,
// invalid UTF-8, a semicolon, a repeated name, or a name that is the parameter in
// another spelling (case, blanks, brackets, dots).
func queryParameter(query, name string) (value string, present, ok bool) {
	if strings.IndexByte(query, ';') >= 0 {
		return "", false, false
	}
	for rest, more := query, query != ""; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		rawName, rawValue, _ := strings.Cut(pair, "=")
		gotName, ok := unescape(rawName)
		if !ok {
			return "", false, false
		}
		gotValue, ok := unescape(rawValue)
		if !ok {
			return "", false, false
		}
		switch {
		case gotName == name:
			if present || len(gotValue) > maxParameter {
				return "", false, false
			}
			value, present = gotValue, true
		case alike(gotName, name):
			return "", false, false
		}
	}
	return value, present, true
}

// alike reports whether some parser would take the name for the parameter.
func alike(got, name string) bool {
	if i := strings.IndexAny(got, "[."); i >= 0 {
		got = got[:i]
	}
	got = strings.Trim(got, " \t\r\n\v\f\x00")
	return strings.EqualFold(got, name)
}

// unescape decodes once: %XX and + for a blank. A plain text is returned as it
// is, without a copy.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, utf8.ValidString(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			high, ok1 := unhex(s[i+1])
			low, ok2 := unhex(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			out = append(out, high<<4|low)
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), utf8.Valid(out)
}
