package profile

import (
	"slices"
	"strings"
)

// alwaysProtected are names that no client may set whatever the profile: some
// servers read the method, the path or the caller from them.
var alwaysProtected = []string{
	"x-http-method-override", "x-method-override", "x-http-method", "x-original-url",
	"x-rewrite-url", "x-original-uri", "x-forwarded-uri", "proxy-authorization",
}

// alwaysDeclared are the headers every decision reads: upgrades, CORS preflights,
// gRPC clients, and the scheme that the edge saw.
var alwaysDeclared = []string{
	"access-control-request-method", "content-type", "origin", "upgrade", "x-forwarded-proto",
}

// reservedNames are "x-" headers that mean something to a proxy or a server, so
// that a profile must not set them.
var reservedNames = append([]string{"x-real-ip", "x-request-id", "x-client-trace-id", "x-ot-span-context"}, alwaysProtected...)

var reservedPrefixes = []string{"x-envoy-", "x-forwarded-", "x-b3-", "x-original-", "x-accel-"}

// answerNames are the names, besides "x-…", that a denial may have. Everything
// else, such as content-length or connection, is the server's business.
var answerNames = []string{
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-allow-origin", "access-control-expose-headers", "access-control-max-age",
	"content-language", "deprecation", "link", "ratelimit", "ratelimit-policy", "retry-after",
	"strict-transport-security", "sunset", "vary", "www-authenticate",
}

const maxHeaderName = 64

// checkName says what is wrong with a header name that a profile reads; empty:
// nothing.
func checkName(name string) string {
	switch {
	case name == "":
		return "is empty; name a header"
	case len(name) > maxHeaderName:
		return "is longer than 64 bytes; shorten it"
	case name != strings.ToLower(name):
		return "must be in lower case, as \"" + strings.ToLower(name) + "\""
	case strings.HasPrefix(name, ":"):
		return "is a pseudo-header, which no profile may touch"
	case name[0] == '-' || !all(name, isNameByte):
		return "is no header name; use lower-case letters, digits and -"
	case slices.Contains(connectionNames, name):
		return "belongs to the connection, and no profile may touch it"
	}
	return ""
}

// connectionNames frame or address a message.
var connectionNames = []string{
	"connection", "content-length", "content-type", "cookie", "expect", "host", "http2-settings", "keep-alive",
	"proxy-connection", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade",
}

// checkUpstreamName says what is wrong with a name that carries facts to an upstream.
func checkUpstreamName(name string) string {
	if problem := checkName(name); problem != "" {
		return problem
	}
	if !strings.HasPrefix(name, "x-") || isReserved(name) {
		return "is not a name a profile may set; use one of its own that begins with x-"
	}
	return ""
}

// checkAnswerName says what is wrong with a name of a denial's header.
func checkAnswerName(name string) string {
	if problem := checkName(name); problem != "" {
		return problem
	}
	if slices.Contains(answerNames, name) || strings.HasPrefix(name, "x-") && !isReserved(name) {
		return ""
	}
	return "is not a name an answer may set; use one that begins with x-, or one of " + strings.Join(answerNames, ", ")
}

func isReserved(name string) bool {
	return slices.Contains(reservedNames, name) || slices.ContainsFunc(reservedPrefixes, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// checkValue says what is wrong with a header's value.
func checkValue(value string) string {
	switch {
	case len(value) > 1024:
		return "is longer than 1024 bytes; shorten it"
	case !all(value, isPrintable):
		return "has a byte that is not visible ASCII, which could split a response; remove it"
	case strings.TrimSpace(value) != value:
		return "begins or ends with a blank; remove it"
	}
	return ""
}

func isNameByte(b byte) bool {
	return 'a' <= b && b <= 'z' || '0' <= b && b <= '9' || b == '-'
}

func isPrintable(b byte) bool { return ' ' <= b && b <= '~' }

// sortedSet is the names in order, each once.
func sortedSet(names ...string) []string {
	slices.Sort(names)
	return slices.Compact(slices.DeleteFunc(names, func(name string) bool { return name == "" }))
}
