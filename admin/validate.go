package admin

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"postern/authz/identity"
	"postern/store"
)

// The bounds of what is stored.
const (
	maxID          = 64
	maxSlug        = 63
	maxName        = 200  // characters
	maxDescription = 1000 // characters
	maxSubject     = 255  // OpenID Connect Core § 2: a sub is at most 255 ASCII characters
	maxIssuer      = 500
	maxTopUp       = 1_000_000_000_000
	maxPage        = 1000
	defaultPage    = 100
	maxLife        = 100 * 365 * 24 * time.Hour
)

// checks collects the violations of one request, so that all are told at once.
type checks struct{ violations []Violation }

func (c *checks) add(field, problem, remedy string) {
	c.violations = append(c.violations, Violation{field, problem, remedy})
}

func (c *checks) err() error {
	if len(c.violations) == 0 {
		return nil
	}
	return &Error{Code: Invalid, Violations: c.violations}
}

func (c *checks) required(field, value, remedy string) bool {
	if value == "" {
		c.add(field, "is missing", remedy)
		return false
	}
	return true
}

// id asks for an identifier, which an empty text is not.
func (c *checks) id(field, value string) {
	if c.required(field, value, "name an identifier") {
		c.newID(field, value)
	}
}

// newID asks for an identifier or nothing.
func (c *checks) newID(field, value string) {
	if len(value) > maxID || !only(value, isIDByte) {
		c.add(field, "is not an identifier", "use 1 to 64 of A-Z a-z 0-9 _ . : -")
	}
}

func (c *checks) slug(field, value string) {
	if !c.required(field, value, "use 1 to 63 of a-z 0-9 -, such as my-org") {
		return
	}
	if len(value) > maxSlug || !only(value, isSlugByte) || value[0] == '-' {
		c.add(field, "is not a slug", "use 1 to 63 of a-z 0-9 -, not beginning with a hyphen")
	}
}

func (c *checks) text(field, value string, most int) {
	switch {
	case !utf8.ValidString(value):
		c.add(field, "is not UTF-8", "encode it as UTF-8")
	case utf8.RuneCountInString(value) > most:
		c.add(field, "is too long", fmt.Sprintf("use at most %d characters", most))
	case strings.ContainsFunc(value, unicode.IsControl):
		c.add(field, "has a control character", "leave line breaks and the like out")
	}
}

func (c *checks) label(field, value string) {
	if len(value) > identity.MaxGrantLength || !only(value, isGrantByte) {
		c.add(field, "has a character that is not allowed, or is too long", "use at most 64 visible ASCII characters without a comma")
	}
}

func (c *checks) permissions(field string, names []string) {
	if len(names) > identity.MaxGrants {
		c.add(field, fmt.Sprintf("has %d entries", len(names)), fmt.Sprintf("use at most %d", identity.MaxGrants))
		return
	}
	for i, name := range names {
		entry := fmt.Sprintf("%s[%d]", field, i)
		if c.required(entry, name, "leave it out") {
			c.label(entry, name)
		}
	}
}

// visible asks for visible ASCII; an issuer or a subject is compared byte for byte.
func (c *checks) visible(field, value string, most int) {
	if len(value) > most || !only(value, isVisible) {
		c.add(field, "has a character that is not allowed, or is too long", fmt.Sprintf("use at most %d visible ASCII characters", most))
	}
}

// Expiry asks for an end of life. The zero value asks for the default.
type Expiry struct {
	at    time.Time
	in    time.Duration
	given bool
}

// ExpireAt asks for an end at a moment.
func ExpireAt(at time.Time) Expiry { return Expiry{at: at, given: true} }

// ExpireIn asks for an end after a life from now on.
func ExpireIn(life time.Duration) Expiry { return Expiry{in: life, given: true} }

// expiry settles the end of a life that begins now: as asked, or else the
// default, which is cut to the longest life (0: no bound). A zero default or
// result means never.
func (c *checks) expiry(e Expiry, now, byDefault time.Time, longest time.Duration) time.Time {
	latest := now.Add(maxLife)
	if longest > 0 {
		latest = now.Add(longest)
	}
	if !e.given {
		if longest > 0 && (byDefault.IsZero() || byDefault.After(latest)) {
			return latest
		}
		return byDefault
	}
	field, end := "expire_time", e.at.UTC()
	if e.at.IsZero() {
		field, end = "ttl", now.Add(min(max(e.in, 0), maxLife+time.Hour))
	}
	switch {
	case !end.After(now):
		c.add(field, "is not in the future", "choose a later one")
	case end.After(latest):
		c.add(field, "is beyond the longest life", fmt.Sprintf("end at %s at the latest", latest.Format(time.RFC3339)))
	}
	return end
}

func (c *checks) page(size int32, token string) store.Page {
	if size < 0 || size > maxPage {
		c.add("page_size", "is out of range", fmt.Sprintf("use 1 to %d, or 0 for %d", maxPage, defaultPage))
	}
	if size == 0 {
		size = defaultPage
	}
	return store.Page{After: token, Limit: int(size)}
}

// newID generates an identifier with a prefix that tells its family.
func newID(prefix string) string { return prefix + strings.ReplaceAll(uuid.NewString(), "-", "") }

func only(text string, allowed func(byte) bool) bool {
	for i := range len(text) {
		if !allowed(text[i]) {
			return false
		}
	}
	return true
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

func isIDByte(b byte) bool {
	return isAlphanumeric(b) || b == '_' || b == '.' || b == ':' || b == '-'
}

func isSlugByte(b byte) bool { return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || b == '-' }

func isVisible(b byte) bool { return 0x21 <= b && b <= 0x7e }

func isGrantByte(b byte) bool { return isVisible(b) && b != ',' }
