package server

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"postern/authz/identity"
)

const unauthenticated = "the admin key is missing or wrong; send it as \"Authorization: Bearer <key>\""

// gate knows the administrator's key by its digest only.
type gate struct{ digest identity.Digest }

func newGate(key identity.Secret) gate { return gate{digest: identity.DigestOf(key.Reveal())} }

// admits reports whether the request brings the key, exactly once. Digests are
// compared, so the time tells neither the key's text nor its length.
func (g gate) admits(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	scheme, key, found := strings.Cut(values[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	presented := identity.DigestOf(strings.Trim(key, " "))
	return subtle.ConstantTimeCompare(presented[:], g.digest[:]) == 1
}
