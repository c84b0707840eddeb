package keyapi

import (
	"net/http"
	"net/url"
	"strings"

	"postern/authz/identity"
)

// target is what a path names.
type target struct {
	path   string // its one spelling
	id     identity.KeyID
	answer func(*handler, call) // nil: there is no such path
}

// match finds the target of a decoded path.
func match(path string) target {
	rest, ok := strings.CutPrefix(path, Path)
	if !ok || rest != "" && rest[0] != '/' {
		return target{}
	}
	rest = strings.TrimPrefix(rest, "/")
	if rest == "" {
		return target{path: Path + "/", answer: (*handler).collection}
	}
	if id, ok := strings.CutPrefix(rest, "deactivate/"); ok && isID(id) {
		return target{path: Path + "/deactivate/" + id, id: identity.KeyID(id), answer: (*handler).deactivate}
	}
	if isID(rest) {
		return target{path: Path + "/" + rest, id: identity.KeyID(rest), answer: (*handler).show}
	}
	return target{}
}

// spell is the request as the engine shall judge it: at the target's one
// spelling. Otherwise a path that is answered here, but which the profile's
// routes do not know (without the last slash, or with an encoded letter), would
// be judged as an ordinary one and not as key management.
func (t target) spell(r *http.Request) *http.Request {
	if t.answer == nil {
		return r
	}
	spelled := new(http.Request)
	*spelled = *r
	spelled.URL = &url.URL{Path: t.path}
	spelled.RequestURI = t.path
	return spelled
}

// isID reports what a path variable of a profile may hold.
func isID(text string) bool {
	if text == "" || len(text) > 64 {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-'
	})
}
