// Package token verifies and mints signed tokens (JWT, RFC 7519): whose keys an
// issuer has, what a token must say, and which claims hold the facts. It knows no
// store and no transport but the one that fetches key sets.
package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/authz/identity"
	"postern/authz/profile"
)

// Claims are the facts of a verified token. They are shared and immutable.
type Claims struct {
	// Issuer is empty for Postern's own.
	Issuer identity.Issuer
	// Rule is the profile's rule under which the token was accepted.
	Rule        *profile.Issuer
	ID          identity.TokenID
	Subject     string
	Org         identity.OrgID
	OrgSlug     identity.OrgSlug
	Grants      identity.Grants
	Environment identity.Environment
	IssuedAt    time.Time // zero where the token does not say
	ExpiresAt   time.Time
}

const (
	defaultUserClaim = "sub"
	maxClaimLength   = 256 // of a claim that becomes a header or a look-up
)

// claimsOf reads the facts where the rule says they are. Only a token whose
// signature, issuer, audience and times are verified comes here.
func claimsOf(rule *profile.Issuer, body map[string]any) (*Claims, error) {
	c := &Claims{Rule: rule}
	if !rule.Own {
		c.Issuer = rule.Name
	}
	var id, org, slug, environment string
	for _, fact := range []struct {
		path string
		to   *string
	}{
		{"jti", &id},
		{userClaim(rule), &c.Subject},
		{rule.Claims.Organization, &org},
		{rule.Claims.OrganizationSlug, &slug},
		{rule.Claims.Environment, &environment},
	} {
		if err := readText(body, fact.path, fact.to); err != nil {
			return nil, err
		}
	}
	if c.Subject == "" {
		return nil, fmt.Errorf("the token has no %s", userClaim(rule))
	}
	if rule.Own && id == "" {
		return nil, errors.New("the token has no jti")
	}
	c.ID = identity.TokenID(id)
	c.Org, c.OrgSlug = identity.OrgID(org), identity.OrgSlug(slug)
	c.Environment = identity.Environment(environment)
	c.Grants = readGrants(body, rule.Claims.Permissions)
	return c, nil
}

func userClaim(rule *profile.Issuer) string {
	if rule.Claims.User == "" {
		return defaultUserClaim
	}
	return rule.Claims.User
}

// at finds a value; a dot descends into an object. A path that leads nowhere,
// and a null, are no value.
func at(body map[string]any, path string) any {
	if path == "" {
		return nil
	}
	for {
		name, rest, deeper := strings.Cut(path, ".")
		value := body[name]
		if !deeper {
			return value
		}
		var ok bool
		if body, ok = value.(map[string]any); !ok {
			return nil
		}
		path = rest
	}
}

func readText(body map[string]any, path string, to *string) error {
	value := at(body, path)
	if value == nil {
		return nil
	}
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("the token's %s is not a string", path)
	}
	if len(text) > maxClaimLength || !isVisible(text) {
		return fmt.Errorf("the token's %s is not visible ASCII of at most %d bytes", path, maxClaimLength)
	}
	*to = text
	return nil
}

// readGrants takes a list of strings, or one string separated by spaces (RFC 8693
// § 4.2). A name that cannot stand in the header is dropped: a token then grants
// less, never more.
func readGrants(body map[string]any, path string) identity.Grants {
	var names []string
	switch value := at(body, path).(type) {
	case string:
		names = strings.Split(value, " ")
	case []any:
		for _, element := range value {
			if name, ok := element.(string); ok {
				names = append(names, name)
			}
		}
	}
	kept := make([]string, 0, min(len(names), identity.MaxGrants))
	seen := make(map[string]bool)
	for _, name := range names {
		if len(kept) == identity.MaxGrants {
			break
		}
		if seen[name] || !isGrant(name) {
			continue
		}
		seen[name] = true
		kept = append(kept, name)
	}
	return identity.NewGrants(kept...)
}

func isGrant(name string) bool {
	return name != "" && len(name) <= identity.MaxGrantLength && isVisible(name) && !strings.Contains(name, ",")
}

func isVisible(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] < 0x21 || text[i] > 0x7e {
			return false
		}
	}
	return true
}
