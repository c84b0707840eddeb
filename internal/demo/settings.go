package demo

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// settings is the configuration file of a replica, the first of which is 0.
func (d *Demo) settings(replica int) string {
	shift := replica * replicaStep
	cache := ""
	if d.cacheURL != "" {
		cache = fmt.Sprintf("cache:\n  url: %q\n", d.cacheURL)
	}
	return fmt.Sprintf(`# Written by make run.
store:
  url: %q
check:
  listen: %s
admin:
  listen: %s
  key_file: %q
profiles:
  files: [%q]
log:
  format: json
%s`, d.storeURL, d.address(portCheck+shift), d.address(portAdmin+shift), d.path("admin.key"), d.path("profiles"), cache)
}

// settingsFile is where a replica's configuration is.
func (d *Demo) settingsFile(replica int) string {
	if replica == 0 {
		return d.path("postern.yaml")
	}
	return d.path(fmt.Sprintf("postern-%d.yaml", replica+1))
}

// Overrides fits the presets to loopback: plain HTTP for artos, and keys of the
// demo's own in the place of Clerk's and Keycloak's. All else is as embedded.
func Overrides() string {
	return `# Written by make run.
profile: artos
extends: artos
hosts: [api.artosai.com]
require_https: false
---
profile: artanis
extends: artanis
hosts: [app.artanis.ai]
tokens:
  - issuer: ` + SessionIssuer + `
    jwks_file: ../clerk.jwks.json
    algorithms: [RS256]
    authorized_parties: [https://app.artanis.ai]
    leeway: 5s
    claims: { user: sub }
    directory: required
---
profile: arthur-platform
extends: arthur-platform
hosts: [platform.arthur.ai]
tokens:
  - issuer: ` + PlatformIssuer + `
    jwks_file: ../keycloak.jwks.json
    algorithms: [RS256]
    audience: arthur-api
    leeway: 5s
    claims: { organization: org_id, organization_slug: org_slug, user: sub, permissions: realm_access.roles }
    directory: trusted
---
profile: arthur-engine
extends: arthur-engine
hosts: [engine.arthur.ai]
tokens:
  - issuer: ` + PlatformIssuer + `
    jwks_file: ../keycloak.jwks.json
    algorithms: [RS256]
    audience: arthur-api
    leeway: 5s
    claims: { organization: org_id, organization_slug: org_slug, user: sub, permissions: realm_access.roles }
    directory: trusted
`
}

// The issuers whom the demo stands in for.
const (
	SessionIssuer  = "https://clerk.artanis.ai"
	PlatformIssuer = "https://platform.arthur.ai/realms/arthur"
)

// keepSecret reads the file's secret, or makes one of 256 random bits.
func keepSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	secret := hex.EncodeToString(random)
	return secret, os.WriteFile(path, []byte(secret+"\n"), 0o600)
}
