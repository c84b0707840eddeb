package main

import (
	"crypto/rand"

	"postern/authz/credential"
	"postern/internal/bench/rig"
	"postern/internal/demo/seed"
)

// kind is a request of which every repetition is decided alike.
type kind struct {
	name    string
	request rig.Request
	want    expectation
}

func bearer(value string) [][2]string {
	return [][2]string{{"authorization", "Bearer " + value}}
}

func get(profile, path string, headers [][2]string) rig.Request {
	return rig.Request{Profile: profile, Path: path, Headers: headers}
}

func post(profile, path string, headers [][2]string) rig.Request {
	return rig.Request{Profile: profile, Method: "POST", Path: path, Headers: headers}
}

func allows(profile, reason string) expectation { return expectation{profile, reason, true} }
func denies(profile, reason string) expectation { return expectation{profile, reason, false} }

// The paths that the scenarios ask for.
const (
	jobs      = "/api/v1/jobs"
	templates = "/api/v1/templates/"
)

// cachedKey is the request that all tables have in common.
func cachedKey(have map[string]string) kind {
	return kind{"authenta cached key", get("authenta", jobs, bearer(have["AUTHENTA_API_KEY"])), allows("authenta", "allowed")}
}

// allowedKinds are requests that are decided from the caches, and allowed.
func allowedKinds(have map[string]string) []kind {
	artanis := [][2]string{{"x-api-key", have["ARTANIS_API_KEY"]}, {"x-org-slug", seed.OrgSlug}}
	return []kind{
		cachedKey(have),
		{"artanis cached key", get("artanis", "/api/prompts?projectSlug="+seed.Project, artanis), allows("artanis", "allowed")},
		{"arthur-engine cached key", get("arthur-engine", "/api/v2/tasks", bearer(have["ARTHUR_API_KEY"])), allows("arthur-engine", "allowed")},
		{"artos cached EdDSA token", get("artos", templates, bearer(have["ARTOS_TOKEN"])), allows("artos", "allowed")},
		{"arthur-platform cached RS256 token", post("arthur-platform", "/api/v1/organizations", bearer(have["ARTHUR_PLATFORM_TOKEN"])), allows("arthur-platform", "allowed")},
		{"public route", get("authenta", "/health", nil), allows("authenta", "public")},
	}
}

// deniedKinds are one request for each denial that a client can bring about.
func deniedKinds(have map[string]string) ([]kind, error) {
	unknown, err := (&credential.Format{Layout: credential.Opaque, Prefix: "api_", Checksum: true, Hash: credential.SHA256}).Mint(rand.Reader)
	if err != nil {
		return nil, err
	}
	good := bearer(have["AUTHENTA_API_KEY"])
	return []kind{
		{"missing credential", get("authenta", jobs, nil), denies("authenta", "missing_credential")},
		{"malformed key", get("authenta", jobs, bearer("api_misspelt")), denies("authenta", "malformed_credential")},
		{"unknown key", get("authenta", jobs, bearer(unknown.Raw.Reveal())), denies("authenta", "invalid_credential")},
		{"expired token", get("artos", templates, bearer(have["ARTOS_EXPIRED_TOKEN"])), denies("artos", "expired")},
		{"revoked key", get("authenta", jobs, bearer(have["AUTHENTA_REVOKED_KEY"])), denies("authenta", "revoked")},
		{"revoked token", get("artos", templates, bearer(have["ARTOS_REVOKED_TOKEN"])), denies("artos", "revoked")},
		{"no organization", get("artos", templates, bearer(have["ARTOS_NO_ORG_TOKEN"])), denies("artos", "no_organization")},
		{"disabled organization", get("artos", templates, bearer(have["ARTOS_DISABLED_ORG_TOKEN"])), denies("artos", "organization_disabled")},
		{"wrong organization", get("datasets", "/api/v1/companies/"+seed.OtherCompanyID+"/datasets/", bearer(have["DATASETS_TOKEN"])), denies("datasets", "wrong_organization")},
		{"forbidden", post("authenta", "/api/v1/facesim/v1", bearer(have["AUTHENTA_READONLY_KEY"])), denies("authenta", "forbidden")},
		{"insufficient credits", post("authenta", jobs, bearer(have["AUTHENTA_NOBALANCE_KEY"])), denies("authenta", "insufficient_credits")},
		{"ambiguous path", get("authenta", "/api/v1/%2e%2e/jobs", good), denies("authenta", "bad_request")},
		{"unknown method", rig.Request{Profile: "authenta", Method: "BREW", Path: jobs, Headers: good}, denies("authenta", "method_not_allowed")},
		{"no profile", get("", jobs, good), denies("", "no_profile")},
	}, nil
}
