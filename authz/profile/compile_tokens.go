package profile

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/authz/identity"
)

// ownIssuer is how a profile writes Postern's own issuer.
const ownIssuer = "postern"

const maxLeeway = 30 * time.Second

var algorithms = []string{"EdDSA", "RS256", "ES256", "HS256"}

func (c *compiler) issuers() {
	for i, doc := range c.doc.Tokens {
		path := fmt.Sprintf("tokens[%d]", i)
		issuer := Issuer{
			Own:               doc.Issuer == ownIssuer,
			Name:              identity.Issuer(doc.Issuer),
			AuthorizedParties: doc.AuthorizedParties,
			Algorithms:        doc.Algorithms,
			Leeway:            c.duration(path+".leeway", doc.Leeway),
			MaxLifetime:       c.duration(path+".max_lifetime", doc.MaxLifetime),
			Claims:            c.claims(path+".claims", doc.Claims),
			Directory:         c.directory(path+".directory", doc.Directory),
		}
		if issuer.Own {
			issuer.Name = ""
		}
		if issuer.Leeway > maxLeeway {
			c.problem(path+".leeway", "%q is more than 30s, which would keep expired tokens alive; shorten it", doc.Leeway)
		}
		c.issuerName(path+".issuer", i, doc)
		issuer.Audiences = c.audiences(path, doc)
		c.algorithms(path+".algorithms", doc)
		issuer.JWKSURL, issuer.JWKSFile = c.keySet(path, doc)
		if doc.MaxLifetime != "" && !issuer.Own {
			c.problem(path+".max_lifetime", "bounds what Postern mints, and this issuer is another; remove it")
		}
		c.profile.Issuers = append(c.profile.Issuers, issuer)
	}
}

func (c *compiler) issuerName(path string, index int, doc issuerDoc) {
	if doc.Issuer == "" {
		c.problem(path, "is missing; write the exact iss of its tokens, or postern")
	}
	for _, other := range c.doc.Tokens[:index] {
		if other.Issuer == doc.Issuer {
			c.problem(path, "%q is listed twice; make it one entry", doc.Issuer)
		}
	}
}

func (c *compiler) audiences(path string, doc issuerDoc) []string {
	audiences := doc.Audiences
	if doc.Audience != "" {
		if len(audiences) > 0 {
			c.problem(path+".audience", "is given beside audiences; use one of them")
		}
		audiences = []string{doc.Audience}
	}
	if len(audiences) == 0 && len(doc.AuthorizedParties) == 0 {
		c.problem(path+".audience", "is missing, so a token for another API would pass; give the audience, or authorized_parties")
	}
	if slices.Contains(audiences, "") {
		c.problem(path+".audiences", "has an empty entry; remove it")
	}
	if slices.Contains(doc.AuthorizedParties, "") {
		c.problem(path+".authorized_parties", "has an empty entry; remove it")
	}
	return audiences
}

func (c *compiler) algorithms(path string, doc issuerDoc) {
	if len(doc.Algorithms) == 0 {
		c.problem(path, "is missing, and a token must not choose; list what the issuer signs with")
	}
	for i, algorithm := range doc.Algorithms {
		item := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case !slices.Contains(algorithms, algorithm):
			c.problem(item, "%q is not supported; use %s", algorithm, strings.Join(algorithms, ", "))
		case algorithm == "HS256" && doc.Issuer != ownIssuer:
			c.problem(item, "HS256 would share this issuer's secret; use EdDSA, RS256 or ES256")
		}
	}
}

// keySet checks where an issuer's keys are. A relative file is one beside the
// profile's own file.
func (c *compiler) keySet(path string, doc issuerDoc) (keysURL, file string) {
	switch {
	case doc.Issuer == ownIssuer:
		if doc.JWKSURL != "" || doc.JWKSFile != "" {
			c.problem(path+".issuer", "postern signs with its own keys; remove jwks_url and jwks_file")
		}
		return "", ""
	case doc.JWKSURL == "" && doc.JWKSFile == "":
		c.problem(path+".jwks_url", "is missing; say where the issuer's keys are, by jwks_url or jwks_file")
	case doc.JWKSURL != "" && doc.JWKSFile != "":
		c.problem(path+".jwks_file", "is given beside jwks_url; use one of them")
	case doc.JWKSURL != "":
		c.check(path+".jwks_url", checkKeySetURL(doc.JWKSURL))
	case !filepath.IsAbs(doc.JWKSFile):
		return "", filepath.Join(filepath.Dir(c.at(path+".jwks_file").file), doc.JWKSFile)
	}
	return doc.JWKSURL, doc.JWKSFile
}

func checkKeySetURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Sprintf("%q is no plain URL; write https://host/path", text)
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return ""
	}
	return fmt.Sprintf("%q must be https, for whoever forges the keys forges every token; http is for loopback only", text)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (c *compiler) claims(path string, doc claimsDoc) Claims {
	for name, claim := range map[string]string{
		"organization": doc.Organization, "organization_slug": doc.OrganizationSlug, "user": doc.User,
		"permissions": doc.Permissions, "environment": doc.Environment,
	} {
		if claim != "" && slices.Contains(strings.Split(claim, "."), "") {
			c.problem(path+"."+name, "%q has an empty part; write claim or object.claim", claim)
		}
	}
	claims := Claims(doc)
	if claims.User == "" {
		claims.User = "sub"
	}
	return claims
}

func (c *compiler) directory(path, text string) Directory {
	switch d := Directory(text); d {
	case "":
		return DirectoryRequired
	case DirectoryRequired, DirectoryTrusted:
		return d
	}
	c.problem(path, "%q is unknown; use required or trusted", text)
	return DirectoryRequired
}
