package demo

import (
	"fmt"
	"io"
)

// printCommands shows what to try, in the words of each API's own document. Keys
// stay in demo.env: a terminal is copied about more easily than a file.
func printCommands(w io.Writer, l layout) {
	fmt.Fprintf(w, `
Envoy, Postern and an example upstream are running. In another terminal:

  set -a; . %s; set +a

artos            curl "$ARTOS_URL/api/v1/templates/" -H "Authorization: Bearer $ARTOS_TOKEN"
                 curl "$ARTOS_URL/api/v1/search/status"
                 curl "$ARTOS_URL/api/v1/templates/" -H "Authorization: Bearer $ARTOS_REVOKED_TOKEN"
datasets         curl "$DATASETS_URL/api/v1/companies/$DATASETS_COMPANY_ID/datasets/" -H "Authorization: Bearer $DATASETS_TOKEN"
artanis          curl "$ARTANIS_URL/api/prompts?projectSlug=$ARTANIS_PROJECT" -H "x-api-key: $ARTANIS_API_KEY" -H "x-org-slug: $ARTANIS_ORG_SLUG"
arthur-platform  curl "$ARTHUR_PLATFORM_URL/api/v1/organizations" -H "Authorization: Bearer $ARTHUR_PLATFORM_TOKEN"
arthur-engine    curl "$ARTHUR_ENGINE_URL/api/v2/tasks" -H "Authorization: Bearer $ARTHUR_API_KEY"
                 curl -X POST "$ARTHUR_ENGINE_URL/auth/api_keys/" -H "Authorization: Bearer $GENAI_ENGINE_ADMIN_KEY" -H "Content-Type: application/json" -d '{"description": "my key"}'
authenta         curl "$AUTHENTA_URL/api/v1/jobs" -H "Authorization: Bearer $AUTHENTA_API_KEY"
                 curl -X POST "$AUTHENTA_URL/api/v1/jobs" -H "Authorization: Bearer $AUTHENTA_NOBALANCE_KEY"
by host name     curl "%s/api/v1/jobs" -H "Host: platform.authenta.ai" -H "Authorization: Bearer $AUTHENTA_API_KEY"
management       %s org list

Logs and state are in %s. Ctrl-C stops everything.

`, l.path("demo.env"), l.url(portGeneric), l.path("bin", "posternctl"), l.state)
}
