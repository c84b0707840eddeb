package profile_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
)

func TestAFileMayExtendAPreset(t *testing.T) {
	file := written(t, `
profile: our-authenta
extends: authenta
environment: staging
api_keys: { prefix: stg_ }
permissions: { DELETE: ADMIN }
routes: [{ route: POST /api/v2/jobs, cost: 5 }]
answers:
  forbidden: { json: { code: NO } }
`)
	set := load(t, true, file)
	p, base := set.ByName("our-authenta"), set.ByName("authenta")
	if base == nil || base.Environment != "" || base.Keys.Prefix != "api_" {
		t.Errorf("the preset changed: %+v", base)
	}
	if p.Environment != "staging" || p.Keys.Prefix != "stg_" || !p.Keys.Checksum {
		t.Errorf("maps do not merge: %+v", p.Keys)
	}
	if len(p.Hosts) != 0 {
		t.Errorf("hosts are inherited: %v", p.Hosts)
	}
	if route, _ := p.Match("POST", "/api/v1/jobs", nil); route.Cost != 0 {
		t.Error("lists do not replace")
	}
	if route, _ := p.Match("POST", "/api/v2/jobs", nil); route.Cost != 5 {
		t.Error("its own route is not there")
	}
	if route, _ := p.Match("DELETE", "/x", nil); p.Permission(route, "DELETE") != "ADMIN" || p.Permission(route, "GET") != "READ" {
		t.Error("permissions do not merge")
	}
	denied := p.Answer(nil, reason.Forbidden)
	if denied.Body != `{"code":"NO"}` || denied.GRPCMessage != "You don't have permission to access this" {
		t.Errorf("a body is not one value: %s, %s", denied.Body, denied.GRPCMessage)
	}
}

func TestAFileReplacesThePresetOfItsName(t *testing.T) {
	p := load(t, true, written(t, strings.Replace(minimal, "profile: api", "profile: authenta", 1))).ByName("authenta")
	if p.Keys.Prefix != "k_" || len(p.Hosts) != 0 {
		t.Errorf("something of the preset is left: %+v", p)
	}
}

func TestAFileMayExtendThePresetItReplaces(t *testing.T) {
	p := load(t, true, written(t, "profile: artos\nextends: artos\nrequire_https: false\n")).ByName("artos")
	if p.RequireHTTPS || !slices.Equal(p.Hosts, []string{"api.artosai.com"}) || p.Issuers[0].Audiences[0] != "artos" {
		t.Errorf("got %+v", p)
	}
}

func TestAPresetMayBeExtendedWithoutBeingServed(t *testing.T) {
	set := load(t, false, written(t, "profile: mine\nextends: middle\n---\nprofile: middle\nextends: artos\nenvironment: lab\n"))
	if got := set.Names(); !slices.Equal(got, []identity.ProfileName{"middle", "mine"}) {
		t.Fatalf("got %v", got)
	}
	if p := set.ByName("mine"); p.Environment != "lab" || !p.RequireHTTPS {
		t.Errorf("got %+v", p)
	}
}

func TestNullTakesAwayWhatThePresetSays(t *testing.T) {
	p := load(t, true, written(t, "profile: mine\nextends: authenta\npermissions: null\nrequest_id: ~\n")).ByName("mine")
	route, _ := p.Match("DELETE", "/x", nil)
	if p.Permission(route, "DELETE") != "" || p.RequestIDHeader != "" {
		t.Errorf("got %q, %q", p.Permission(route, "DELETE"), p.RequestIDHeader)
	}
}

func TestAFolderStandsForItsFiles(t *testing.T) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "b.yaml"), strings.Replace(minimal, ": api", ": second", 1))
	write(t, filepath.Join(folder, "a.yml"), strings.Replace(minimal, ": api", ": first", 1))
	write(t, filepath.Join(folder, "notes.txt"), "not: a profile")
	write(t, filepath.Join(folder, "sub", "c.yaml"), "not: a profile")
	if got := load(t, false, folder).Names(); !slices.Equal(got, []identity.ProfileName{"first", "second"}) {
		t.Errorf("got %v", got)
	}
}

func TestAnAliasStandsForItsValue(t *testing.T) {
	p := load(t, true).ByName("artanis")
	for _, path := range []string{"/api/v1/traces", "/api/v1/observations", "/api/v1/feedback"} {
		route, _ := p.Match("POST", path, nil)
		want := []credential.Source{{Place: credential.InBearer, Name: "authorization", Accept: credential.APIKey}}
		if !slices.Equal(route.Credentials, want) || route.Organization.From != profile.OrgFromCredential || len(route.Resources) != 0 {
			t.Errorf("%s: %+v", path, route)
		}
	}
}

func TestAKeySetFileLiesBesideItsProfile(t *testing.T) {
	const tokens = "profile: api\ncredentials: [{ bearer: token }]\ntokens: [{ issuer: x, audience: y, algorithms: [ES256], jwks_file: %s }]\n"
	file := written(t, strings.Replace(tokens, "%s", "keys/jwks.json", 1))
	want := filepath.Join(filepath.Dir(file), "keys/jwks.json")
	if got := load(t, false, file).ByName("api").Issuers[0].JWKSFile; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := load(t, false, written(t, strings.Replace(tokens, "%s", "/etc/jwks.json", 1))).ByName("api").Issuers[0].JWKSFile; got != "/etc/jwks.json" {
		t.Errorf("got %s", got)
	}
}

func TestNothingIsServedWhenAnythingIsWrong(t *testing.T) {
	set, err := profile.Load(true, written(t, "profile: api\ncolour: red\n"), filepath.Join(t.TempDir(), "absent.yaml"))
	var problems profile.Problems
	if set != nil || !errors.As(err, &problems) {
		t.Fatalf("got %v, %v", set, err)
	}
	if len(problems) < 3 { // the field, the missing credentials, the missing file
		t.Errorf("not all is reported: %v", err)
	}
}

func TestProtectedAndDeclaredCoverAllThatAProfileUses(t *testing.T) {
	p := load(t, false, written(t, `
profile: api
credentials: [{ header: x-api-key, as: api_key }, { cookie: sid, as: api_key }, { cookie: pref, as: api_key, keep: true }]
api_keys: { prefix: k_ }
organization: { from: header x-tenant }
request_id: header idempotency-key
upstream: { org_id: x-company, key_id: "" }
routes: [{ route: "/p/{id}", credentials: [{ bearer: api_key }], resource: { kind: project, id: path id, inject: x-project-id } }]
`)).ByName("api")
	for _, name := range []string{
		"authorization", "x-api-key", "x-company", "x-org-id", "x-key-id", "x-permissions", "x-project-id",
		"x-http-method-override", "x-original-url", "proxy-authorization",
	} {
		if !slices.Contains(p.Upstream.Protected, name) {
			t.Errorf("a client may set %s", name)
		}
	}
	for _, name := range []string{"authorization", "x-api-key", "cookie", "x-tenant", "idempotency-key", "upgrade", "origin"} {
		if !slices.Contains(p.Declared, name) {
			t.Errorf("a decision does not see %s", name)
		}
	}
	if !slices.IsSorted(p.Declared) || !slices.IsSorted(p.Upstream.Protected) {
		t.Error("the names are not sorted")
	}
	if !slices.Equal(p.Upstream.Cookies, []string{"sid"}) {
		t.Errorf("cookies: %v", p.Upstream.Cookies)
	}
	if p.Upstream.OrgID != "x-company" || p.Upstream.KeyID != "" || p.Upstream.UserID != "x-user-id" {
		t.Errorf("names: %+v", p.Upstream)
	}
}
