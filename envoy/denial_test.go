package envoy_test

import "testing"

// denial is a row of a document's table of errors, as a client sees it.
type denial struct {
	says    string
	line    string
	headers []string
	status  int
	body    string
}

// mustDeny asks both Envoys for every row, to the byte.
func mustDeny(t *testing.T, api string, rows []denial) {
	t.Helper()
	throughEach(t, func(t *testing.T, g gate) {
		for _, row := range rows {
			t.Run(row.says, func(t *testing.T) {
				r := g.send(t, api, row.line, row.headers...)
				r.denied(t, row.status, row.body)
				if r.header.Get("Cache-Control") != "no-store" {
					t.Errorf("a denial may be cached: %v", r.header)
				}
				if r.header.Get("Location") != "" {
					t.Error("a denial is a redirect")
				}
			})
		}
	})
}

func bearer(credential string) []string { return []string{"Authorization: Bearer " + credential} }

func TestArtosDeniesAsItsDocumentSays(t *testing.T) {
	const (
		missing = `{"detail":"Not authenticated"}`
		invalid = `{"detail":"Invalid authentication credentials"}`
		barred  = `{"detail":"User has no organization or not authorized"}`
		get     = "GET /api/v1/templates/"
	)
	mustDeny(t, "artos", []denial{
		{"no header", get, nil, 401, missing},
		{"an empty header", get, []string{"Authorization: "}, 401, missing},
		{"not Bearer", get, []string{"Authorization: Basic YTpi"}, 401, missing},
		{"the token without a scheme", get, []string{"Authorization: $ARTOS_TOKEN"}, 401, missing},
		{"a scheme that begins like Bearer", get, []string{"Authorization: Bearers $ARTOS_TOKEN"}, 401, missing},
		{"Bearer alone", get, []string{"Authorization: Bearer"}, 401, missing},
		{"Bearer with nothing behind it", get, []string{"Authorization: Bearer "}, 401, missing},
		{"the token in another header", get, []string{"X-Api-Key: $ARTOS_TOKEN"}, 401, missing},
		{"the token in the query", get + "?access_token=$ARTOS_TOKEN", nil, 401, missing},
		{"the token in a cookie", get, []string{"Cookie: __session=$ARTOS_TOKEN"}, 401, missing},
		{"malformed", get, bearer("abc123xyz"), 401, invalid},
		{"two parts", get, bearer("$ARTOS_CUT_TOKEN"), 401, invalid},
		{"blanks inside", get, bearer("$ARTOS_TOKEN x"), 401, invalid},
		{"bad signature", get, bearer("$ARTOS_BAD_SIGNATURE_TOKEN"), 401, invalid},
		{"another payload under the signature", get, bearer("$ARTOS_OTHER_PAYLOAD_TOKEN"), 401, invalid},
		{"signed by a stranger", get, bearer("$ARTOS_STRANGER_TOKEN"), 401, invalid},
		{"signed by the key that it brings", get, bearer("$ARTOS_OWN_JWK_TOKEN"), 401, invalid},
		{"alg none, unsigned", get, bearer("$ARTOS_NONE_TOKEN"), 401, invalid},
		{"alg none, signed", get, bearer("$ARTOS_NONE_SIGNED_TOKEN"), 401, invalid},
		{"HS256 by the public key", get, bearer("$ARTOS_CONFUSED_TOKEN"), 401, invalid},
		{"expired", get, bearer("$ARTOS_EXPIRED_TOKEN"), 401, invalid},
		{"revoked", get, bearer("$ARTOS_REVOKED_TOKEN"), 401, invalid},
		{"for another audience", get, bearer("$DATASETS_TOKEN"), 401, invalid},
		{"by another issuer", get, bearer("$ARTHUR_PLATFORM_TOKEN"), 401, invalid},
		{"an API key", get, bearer("$AUTHENTA_API_KEY"), 401, invalid},
		{"no organization", get, bearer("$ARTOS_NO_ORG_TOKEN"), 403, barred},
		{"organization disabled", get, bearer("$ARTOS_DISABLED_ORG_TOKEN"), 403, barred},
		{"user left the organization", get, bearer("$ARTOS_LEFT_TOKEN"), 403, barred},
		{"user disabled", get, bearer("$ARTOS_OFF_TOKEN"), 403, barred},
		{"permission to write missing", "POST /api/v1/templates/", bearer("$ARTOS_READ_TOKEN"), 403, barred},
		{"permission to delete missing", "DELETE /api/v1/templates/1", bearer("$ARTOS_READ_TOKEN"), 403, barred},
		{"another method on the public path", "POST /api/v1/search/status", nil, 401, missing},
		{"below the public path", "GET /api/v1/search/status/x", nil, 401, missing},
		{"unknown path", "GET /", nil, 401, missing},
	})
}

func TestDatasetsDeniesAsItsDocumentSays(t *testing.T) {
	const (
		missing = `{"type":"client_error","errors":[{"code":"not_authenticated","detail":"Authentication credentials were not provided.","attr":null,"extra":null}]}`
		invalid = `{"type":"client_error","errors":[{"code":"invalid_token","detail":"The provided token is expired or invalid.","attr":null,"extra":null}]}`
		barred  = `{"type":"client_error","errors":[{"code":"permission_denied","detail":"You do not have permission to perform this action.","attr":null,"extra":null}]}`
		base    = "GET /api/v1/companies/"
		get     = base + "$DATASETS_COMPANY_ID/datasets/"
	)
	mustDeny(t, "datasets", []denial{
		{"no header", get, nil, 401, missing},
		{"not Bearer", get, []string{"Authorization: Token $DATASETS_TOKEN"}, 401, missing},
		{"Bearer with nothing behind it", get, bearer(""), 401, missing},
		{"malformed", get, bearer("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9..."), 401, invalid},
		{"expired", get, bearer("$DATASETS_EXPIRED_TOKEN"), 401, invalid},
		{"revoked", get, bearer("$DATASETS_REVOKED_TOKEN"), 401, invalid},
		{"for another audience", get, bearer("$ARTOS_TOKEN"), 401, invalid},
		{"HS256 by a public key", get, bearer("$ARTOS_CONFUSED_TOKEN"), 401, invalid},
		{"user left the company", get, bearer("$DATASETS_LEFT_TOKEN"), 403, barred},
		{"another company", base + "$DATASETS_OTHER_COMPANY_ID/datasets/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"another company itself", base + "$DATASETS_OTHER_COMPANY_ID", bearer("$DATASETS_TOKEN"), 403, barred},
		{"another company with a slash", base + "$DATASETS_OTHER_COMPANY_ID/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"another company deeper", base + "$DATASETS_OTHER_COMPANY_ID/a/b/c", bearer("$DATASETS_TOKEN"), 403, barred},
		{"a company that is nowhere", base + "company_nowhere/datasets/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"the company in another case", base + "COMPANY_ACME/datasets/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"more than the company", base + "company_acme2/datasets/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"less than the company", base + "company_acm/datasets/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"the company's slug", base + "acme/datasets/", bearer("$DATASETS_TOKEN"), 403, barred},
		{"another company without a credential", base + "$DATASETS_OTHER_COMPANY_ID/datasets/", nil, 401, missing},
	})
}

func TestArtanisDeniesAsItsDocumentSays(t *testing.T) {
	const (
		missing  = `{"error":"Missing x-api-key, and no session"}`
		invalid  = `{"error":"Invalid x-api-key or session"}`
		noOrg    = `{"error":"The x-org-slug header is missing or names no organization of the caller"}`
		wrongOrg = `{"error":"The caller does not belong to the organization in x-org-slug"}`
		disabled = `{"error":"The organization is disabled"}`
		foreign  = `{"error":"The requested project or resource does not belong to the organization"}`
		unknown  = `{"error":"Resource does not exist"}`
		get      = "GET /api/prompts?projectSlug=my-project"
	)
	with := func(key, slug string) []string { return []string{"x-api-key: " + key, "x-org-slug: " + slug} }
	session := func(token, slug string) []string {
		return []string{"Authorization: Bearer " + token, "x-org-slug: " + slug}
	}
	mustDeny(t, "artanis", []denial{
		{"no key", get, []string{"x-org-slug: my-org"}, 401, missing},
		{"an empty key", get, with("", "my-org"), 401, missing},
		{"nothing at all", get, nil, 401, missing},
		{"an invalid key", get, with("nonsense", "my-org"), 401, invalid},
		{"a key that was never made", get, with("$ARTANIS_UNKNOWN_KEY", "my-org"), 401, invalid},
		{"a key in lower case", get, with("sk_0000000000000000000000000000000000000000000", "my-org"), 401, invalid},
		{"a revoked key", get, with("$ARTANIS_REVOKED_KEY", "my-org"), 401, invalid},
		{"an expired key", get, with("$ARTANIS_EXPIRED_KEY", "my-org"), 401, invalid},
		{"a key of another API", get, with("$AUTHENTA_API_KEY", "my-org"), 401, invalid},
		{"a bad key is not made up for by a session", get, append(with("nonsense", "my-org"), bearer("$ARTANIS_SESSION_TOKEN")...), 401, invalid},
		{"the key as a bearer on a REST route", get, session("$ARTANIS_API_KEY", "my-org"), 401, invalid},
		{"no slug", get, []string{"x-api-key: $ARTANIS_API_KEY"}, 403, noOrg},
		{"an empty slug", get, with("$ARTANIS_API_KEY", ""), 403, noOrg},
		{"another organization's slug", get, with("$ARTANIS_API_KEY", "$ARTANIS_OTHER_ORG_SLUG"), 403, wrongOrg},
		{"a slug in another case", get, with("$ARTANIS_API_KEY", "MY-ORG"), 403, wrongOrg},
		{"a slug of no organization", get, with("$ARTANIS_API_KEY", "no-such-org"), 403, wrongOrg},
		{"two slugs", get, []string{"x-api-key: $ARTANIS_API_KEY", "x-org-slug: my-org", "x-org-slug: other-org"}, 403, wrongOrg},
		{"the key of another organization", get, with("$ARTANIS_OTHER_KEY", "my-org"), 403, wrongOrg},
		{"a disabled organization", get, with("$ARTANIS_DISABLED_KEY", "disabled-org"), 403, disabled},
		{"a foreign project", "GET /api/prompts?projectSlug=$ARTANIS_FOREIGN_PROJECT", with("$ARTANIS_API_KEY", "my-org"), 403, foreign},
		{"an unknown project", "GET /api/prompts?projectSlug=no-such-project", with("$ARTANIS_API_KEY", "my-org"), 404, unknown},
		{"an empty project", "GET /api/prompts?projectSlug=", with("$ARTANIS_API_KEY", "my-org"), 404, unknown},
		{"a foreign project by id", "GET /api/projects/proj_theirs", with("$ARTANIS_API_KEY", "my-org"), 403, foreign},
		{"below a foreign project", "GET /api/projects/proj_theirs/prompts", with("$ARTANIS_API_KEY", "my-org"), 403, foreign},
		{"an unknown project by id", "GET /api/projects/proj_none", with("$ARTANIS_API_KEY", "my-org"), 404, unknown},
		{"a foreign project by query beside one's own by path", "GET /api/projects/proj_mine?projectSlug=their-project", with("$ARTANIS_API_KEY", "my-org"), 403, foreign},
		{"a foreign project by path beside one's own by query", "GET /api/projects/proj_theirs?projectSlug=my-project", with("$ARTANIS_API_KEY", "my-org"), 403, foreign},
		{"my project for another organization", get, with("$ARTANIS_OTHER_KEY", "other-org"), 403, foreign},
		{"a session in another organization", get, session("$ARTANIS_SESSION_TOKEN", "other-org"), 403, noOrg},
		{"a session without a slug", get, bearer("$ARTANIS_SESSION_TOKEN"), 403, noOrg},
		{"a session without a membership", get, session("$ARTANIS_LONER_SESSION", "my-org"), 403, noOrg},
		{"a session of a disabled user", get, session("$ARTANIS_BARRED_SESSION", "my-org"), 403, noOrg},
		{"a session of nobody we know", get, session("$ARTANIS_UNKNOWN_SESSION", "my-org"), 403, noOrg},
		{"a session by cookie, in another organization", get, []string{"Cookie: __session=$ARTANIS_SESSION_TOKEN", "x-org-slug: other-org"}, 403, noOrg},
		{"an expired session", get, session("$ARTANIS_EXPIRED_SESSION", "my-org"), 401, invalid},
		{"an expired session by cookie", get, []string{"Cookie: __session=$ARTANIS_EXPIRED_SESSION", "x-org-slug: my-org"}, 401, invalid},
		{"a session without an end", get, session("$ARTANIS_ENDLESS_SESSION", "my-org"), 401, invalid},
		{"a session of another app", get, session("$ARTANIS_OTHER_APP_SESSION", "my-org"), 401, invalid},
		{"a session of another issuer", get, session("$ARTANIS_OTHER_ISSUER_SESSION", "my-org"), 401, invalid},
		{"two session cookies", get, []string{"Cookie: __session=$ARTANIS_SESSION_TOKEN; __session=$ARTANIS_LONER_SESSION", "x-org-slug: my-org"}, 401, invalid},
		{"ingest without a key", "POST /api/v1/traces", nil, 401, missing},
		{"ingest by x-api-key", "POST /api/v1/traces", with("$ARTANIS_API_KEY", "my-org"), 401, missing},
		{"ingest with a bad key", "POST /api/v1/observations", bearer("$ARTANIS_UNKNOWN_KEY"), 401, invalid},
		{"ingest with a session", "POST /api/v1/feedback", bearer("$ARTANIS_SESSION_TOKEN"), 401, invalid},
		{"ingest with a revoked key", "POST /api/v1/traces", bearer("$ARTANIS_REVOKED_KEY"), 401, invalid},
		{"ingest for a disabled organization", "POST /api/v1/traces", bearer("$ARTANIS_DISABLED_KEY"), 403, disabled},
	})
}

func TestArthurPlatformDeniesAsItsDocumentSays(t *testing.T) {
	const (
		missing = `{"detail":"Not authenticated"}`
		invalid = `{"detail":"The credential is invalid"}`
		barred  = `{"detail":"Permission denied"}`
		get     = "GET /api/v1/models"
		admin   = "POST /api/v1/organizations"
	)
	mustDeny(t, "arthur-platform", []denial{
		{"no header", get, nil, 401, missing},
		{"not Bearer", get, []string{"Authorization: Basic YTpi"}, 401, missing},
		{"malformed", get, bearer("undefined"), 401, `{"detail":"The credential is malformed"}`},
		{"expired", get, bearer("$PLATFORM_EXPIRED_TOKEN"), 401, `{"detail":"The credential has expired"}`},
		{"without an end", get, bearer("$PLATFORM_ENDLESS_TOKEN"), 401, invalid},
		{"before its time", get, bearer("$PLATFORM_EARLY_TOKEN"), 401, invalid},
		{"another audience", get, bearer("$PLATFORM_OTHER_AUDIENCE_TOKEN"), 401, invalid},
		{"no audience", get, bearer("$PLATFORM_NO_AUDIENCE_TOKEN"), 401, invalid},
		{"another issuer", get, bearer("$PLATFORM_OTHER_ISSUER_TOKEN"), 401, invalid},
		{"a token of artos", get, bearer("$ARTOS_TOKEN"), 401, invalid},
		{"a session of artanis", get, bearer("$ARTANIS_SESSION_TOKEN"), 401, invalid},
		{"a weak token on an admin route", admin, bearer("$ARTHUR_PLATFORM_WEAK_TOKEN"), 403, barred},
		{"a weak token to read", get, bearer("$ARTHUR_PLATFORM_WEAK_TOKEN"), 403, barred},
		{"a member on an admin route", admin, bearer("$PLATFORM_MEMBER_TOKEN"), 403, barred},
		{"a member below an admin route", "GET /api/v1/organizations/1", bearer("$PLATFORM_MEMBER_TOKEN"), 403, barred},
		{"a member on a data plane's route", "GET /api/v1/data_planes", bearer("$PLATFORM_MEMBER_TOKEN"), 403, barred},
		{"a data plane that writes", "POST /api/v1/models", bearer("$PLATFORM_DATA_PLANE_TOKEN"), 403, barred},
		{"no organization", get, bearer("$PLATFORM_NO_ORG_TOKEN"), 403, `{"detail":"The caller has no organization"}`},
		{"a disabled organization", get, bearer("$PLATFORM_DISABLED_ORG_TOKEN"), 403, `{"detail":"The organization is disabled"}`},
		{"reading the token endpoint", "GET /realms/arthur/protocol/openid-connect/token", nil, 401, missing},
		{"another realm's token endpoint", "POST /realms/master/protocol/openid-connect/token", nil, 401, missing},
		{"the realm's administration", "GET /admin/realms/arthur", nil, 401, missing},
		{"below the token endpoint", "POST /realms/arthur/protocol/openid-connect/token/x", nil, 401, missing},
		{"the token endpoint with a slash", "POST /realms/arthur/protocol/openid-connect/token/", nil, 401, missing},
	})
}

func TestArthurEngineDeniesAsItsDocumentSays(t *testing.T) {
	const (
		missing   = `{"detail":"Not authenticated"}`
		invalid   = `{"detail":"The credential is invalid"}`
		malformed = `{"detail":"The credential is malformed"}`
		barred    = `{"detail":"Forbidden"}`
		get       = "GET /api/v2/tasks"
	)
	mustDeny(t, "arthur-engine", []denial{
		{"no header", get, nil, 401, missing},
		{"nonsense", get, bearer("nonsense"), 401, malformed},
		{"a key that was never made", get, bearer("$ENGINE_UNKNOWN_KEY"), 401, invalid},
		{"a wrong secret", get, bearer("$ENGINE_WRONG_SECRET_KEY"), 401, invalid},
		{"the bare secret", get, bearer("$ENGINE_BARE_SECRET_KEY"), 401, malformed},
		{"without padding", get, bearer("$ENGINE_UNPADDED_KEY"), 401, malformed},
		{"with more padding", get, bearer("$ENGINE_PADDED_KEY"), 401, malformed},
		{"with bits that decoders ignore", get, bearer("$ENGINE_LOOSE_BITS_KEY"), 401, malformed},
		{"with its id in capitals", get, bearer("$ENGINE_UPPER_ID_KEY"), 401, malformed},
		{"expired", get, bearer("$ENGINE_EXPIRED_KEY"), 401, `{"detail":"The credential has expired"}`},
		{"the admin key on a data route", get, bearer("$GENAI_ENGINE_ADMIN_KEY"), 403, barred},
		{"the admin key that writes", "POST /api/v2/tasks", bearer("$GENAI_ENGINE_ADMIN_KEY"), 403, barred},
		{"the admin key of Postern", get, bearer("$POSTERN_ADMIN_KEY"), 401, malformed},
		{"the admin key, longer", get, bearer("${GENAI_ENGINE_ADMIN_KEY}0"), 401, malformed},
		{"a user's key that manages tasks", "POST /api/v2/tasks", bearer("$ARTHUR_API_KEY"), 403, barred},
		{"an auditor that writes", "POST /api/v2/validate", bearer("$ENGINE_AUDITOR_KEY"), 403, barred},
		{"a token that manages tasks", "DELETE /api/v2/tasks/1", bearer("$PLATFORM_ENGINE_USER_TOKEN"), 403, barred},
		{"a token whose roles mean nothing here", get, bearer("$PLATFORM_ADMIN_TOKEN"), 403, barred},
		{"an expired token", get, bearer("$PLATFORM_EXPIRED_TOKEN"), 401, `{"detail":"The credential has expired"}`},
		{"a token for another audience", get, bearer("$PLATFORM_OTHER_AUDIENCE_TOKEN"), 401, invalid},
		{"key management without a credential", "GET /auth/api_keys/", nil, 401, missing},
		{"key management with a user's key", "GET /auth/api_keys/", bearer("$ARTHUR_API_KEY"), 401, malformed},
		{"making a key with a user's key", "POST /auth/api_keys/", bearer("$ARTHUR_API_KEY"), 401, malformed},
		{"key management with a wrong admin key", "GET /auth/api_keys/", bearer("0000000000000000000000000000000000000000000000000000000000000000"), 401, malformed},
		{"key management with a token that may not", "GET /auth/api_keys/", bearer("$PLATFORM_ENGINE_USER_TOKEN"), 403, barred},
		{"deactivating with a token that may not", "DELETE /auth/api_keys/deactivate/1", bearer("$PLATFORM_ENGINE_USER_TOKEN"), 403, barred},
	})
}

func TestAuthentaDeniesAsItsDocumentSaysInItsOrder(t *testing.T) {
	const (
		invalid = `{"code":"INVALID_API_KEY","statusCode":401,"message":"API key authentication failed"}`
		barred  = `{"code":"FORBIDDEN","statusCode":403,"message":"You don't have permission to access this"}`
		broke   = `{"code":"INSUFFICIENT_BALANCE","statusCode":402,"message":"Insufficient balance. Please top up or enable pay-as-you-go billing"}`
		get     = "GET /api/v1/jobs"
		job     = "POST /api/v1/jobs"
	)
	mustDeny(t, "authenta", []denial{
		{"no header", get, nil, 401, invalid},
		{"not Bearer", get, []string{"Authorization: $AUTHENTA_API_KEY"}, 401, invalid},
		{"the key in x-api-key", get, []string{"x-api-key: $AUTHENTA_API_KEY"}, 401, invalid},
		{"Bearer with nothing behind it", get, bearer(""), 401, invalid},
		{"another prefix", get, bearer("key_xxxxxxxx"), 401, invalid},
		{"as the document abbreviates it", get, bearer("api_xxxxxxxx..."), 401, invalid},
		{"a typo", get, bearer("$AUTHENTA_TYPO_KEY"), 401, invalid},
		{"never made", get, bearer("$AUTHENTA_UNKNOWN_KEY"), 401, invalid},
		{"revoked", get, bearer("$AUTHENTA_REVOKED_KEY"), 401, invalid},
		{"expired", get, bearer("$AUTHENTA_EXPIRED_KEY"), 401, invalid},
		{"a key of another API", get, bearer("$ARTANIS_API_KEY"), 401, invalid},
		{"a token", get, bearer("$ARTOS_TOKEN"), 401, invalid},
		{"READ that writes", "POST /api/v1/facesim/v1", bearer("$AUTHENTA_READONLY_KEY"), 403, barred},
		{"READ that puts", "PUT /api/v1/jobs/1", bearer("$AUTHENTA_READONLY_KEY"), 403, barred},
		{"READ that patches", "PATCH /api/v1/jobs/1", bearer("$AUTHENTA_READONLY_KEY"), 403, barred},
		{"READ that deletes", "DELETE /api/v1/jobs/1", bearer("$AUTHENTA_READONLY_KEY"), 403, barred},
		{"WRITE that deletes", "DELETE /api/v1/jobs/1", bearer("$AUTHENTA_NO_DELETE_KEY"), 403, barred},
		{"WRITE that reads", get, bearer("$AUTHENTA_WRITE_ONLY_KEY"), 403, barred},
		{"WRITE that searches by POST", "POST /api/v1/facesim/v1/search", bearer("$AUTHENTA_WRITE_ONLY_KEY"), 403, barred},
		{"READ that starts a job", job, bearer("$AUTHENTA_READONLY_KEY"), 403, barred},
		{"no credits", job, bearer("$AUTHENTA_NOBALANCE_KEY"), 402, broke},
		{"no credits, with a slash", job + "/", bearer("$AUTHENTA_NOBALANCE_KEY"), 402, broke},
		{"no credits, with a query", job + "?a=1", bearer("$AUTHENTA_NOBALANCE_KEY"), 402, broke},
		{"neither permission nor credits", job, bearer("$AUTHENTA_NOTHING_KEY"), 403, barred},
		{"neither format nor permission nor credits", job, bearer("api_nonsense"), 401, invalid},
		{"revoked, before credits", job, bearer("$AUTHENTA_REVOKED_KEY"), 401, invalid},
	})
}

func TestReadOnlyKeyOfAuthentaReadsAndSearchesAndNoCreditsStillRead(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, line := range []string{"GET /api/v1/jobs", "GET /api/v1/jobs/1", "POST /api/v1/facesim/v1/search"} {
			g.send(t, "authenta", line, bearer("$AUTHENTA_READONLY_KEY")...).allowed(t)
			g.send(t, "authenta", line, bearer("$AUTHENTA_NOBALANCE_KEY")...).allowed(t)
		}
	})
}

func TestDenialTellsHowToAuthenticateAndNothingOfTheRequest(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		r := g.send(t, "artos", "GET /api/v1/documents/marker?marker=1", "Authorization: Bearer marker", "X-Marker: marker")
		if got := r.header.Get("WWW-Authenticate"); r.status != 401 || got != "Bearer" {
			t.Errorf("%s, WWW-Authenticate %q", r, got)
		}
		for name, values := range r.header {
			for _, value := range values {
				if value == "marker" {
					t.Errorf("%s repeats the request", name)
				}
			}
		}
	})
}
