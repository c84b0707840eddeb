package envoy_test

import (
	"strings"
	"testing"
)

// A path trick is a target that some server reads as another one. It is sent raw.
// What matters is what the upstream receives: Envoy, hardened, may make a plain
// path of it first, and may then be answered as for that path.

func TestTricksOnThePublicPathOpenNothing(t *testing.T) {
	const public = "/api/v1/search/status"
	tricks := map[string]string{
		"a trailing slash":                       public + "/",
		"two trailing slashes":                   public + "//",
		"a segment behind":                       public + "/documents",
		"a dot segment behind":                   public + "/.",
		"up to another path":                     public + "/../documents",
		"up, encoded":                            public + "/%2e%2e/documents",
		"up, half encoded":                       public + "/.%2e/documents",
		"up, in capitals":                        public + "/%2E%2E/documents",
		"up, encoded twice":                      public + "/%252e%252e/documents",
		"up, overlong UTF-8":                     public + "/%c0%ae%c0%ae/documents",
		"up, by a backslash":                     public + `\..\documents`,
		"up, by an encoded backslash":            public + "%5c..%5cdocuments",
		"up, by an encoded slash":                public + "%2f..%2fdocuments",
		"up, by a twice encoded slash":           public + "%252f..%252fdocuments",
		"up, with a path parameter":              public + "/..;/documents",
		"up, with an encoded parameter":          public + "/..%3b/documents",
		"a path parameter":                       public + ";x=1",
		"a path parameter inside":                "/api/v1/search;x=1/status",
		"an encoded path parameter":              public + "%3bx=1",
		"a dot behind":                           public + ".",
		"an encoded dot behind":                  public + "%2e",
		"an encoded blank behind":                public + "%20",
		"a plus behind":                          public + "+",
		"an encoded NUL behind":                  public + "%00",
		"an encoded line end":                    public + "%0d%0aX-Evil:%201",
		"an encoded question mark":               public + "%3fa=b",
		"an encoded fragment":                    public + "%23x",
		"a fragment":                             public + "#x",
		"an extension":                           public + ".json",
		"a letter behind":                        public + "X",
		"a tilde behind":                         public + "~",
		"an encoded letter":                      "/api/v1/search/st%61tus",
		"an encoded letter in capitals":          "/api/v1/search/st%41tus",
		"an encoded first letter":                "/%61pi/v1/search/status",
		"a letter encoded twice":                 "/api/v1/search/st%2561tus",
		"a broken escape":                        public + "%",
		"a broken escape, one digit":             public + "%2",
		"a broken escape, no digits":             public + "%zz",
		"%u encoding":                            "/api/v1/search/%u0073tatus",
		"capitals":                               "/API/V1/SEARCH/STATUS",
		"one capital":                            "/api/v1/search/Status",
		"a double slash":                         "/api/v1//search/status",
		"a double slash in front":                "//api/v1/search/status",
		"a host in front":                        "//evil.example/api/v1/search/status",
		"a dot segment":                          "/api/v1/./search/status",
		"down and up":                            "/api/v1/documents/../search/status",
		"down and up, encoded":                   "/api/v1/documents/%2e%2e/search/status",
		"down and up, with a parameter":          "/api/v1/documents/..;/search/status",
		"down and up, by a backslash":            `/api/v1/documents\..\search\status`,
		"a backslash for a slash":                `/api/v1/search\status`,
		"an encoded slash for a slash":           "/api/v1/search%2fstatus",
		"above the root":                         "/../api/v1/search/status",
		"bytes of UTF-8":                         "/api/v1/search/statu\xc5\xbf",
		"bytes of UTF-8, encoded":                "/api/v1/search/statu%c5%bf",
		"fullwidth letters":                      "/api/v1/search/\xef\xbd\x93tatus",
		"a high byte behind":                     public + "\xff",
		"an exclamation mark":                    public + "!",
		"the public path in the query":           "/api/v1/documents?" + public,
		"the public path behind a question mark": "/api/v1/documents?x=/../search/status",
		"a long path":                            "/api/v1/" + strings.Repeat("a", 9000),
		"no slash in front":                      "api/v1/search/status",
		"an asterisk":                            "*",
	}
	throughEach(t, func(t *testing.T, g gate) {
		for says, target := range tricks {
			t.Run(says, func(t *testing.T) {
				for _, headers := range [][]string{nil, bearer("nonsense"), bearer("$ARTOS_REVOKED_TOKEN")} {
					r := g.send(t, "artos", "GET "+target, headers...)
					if seen, ok := r.reached(); ok {
						if !g.hardened || seen.Path != public {
							t.Errorf("without a credential the upstream was reached at %q", seen.Path)
						}
						continue
					}
					r.refused(t)
				}
			})
		}
	})
}

// Envoy as it comes changes nothing: what is refused is refused by Postern, in the
// words of the profile.
func TestPathGateAnswersInTheWordsOfTheProfile(t *testing.T) {
	for _, target := range []string{
		"/api/v1/documents/../search/status", "/api/v1//documents", "/api/v1/./documents", "/api/v1/documents/..", "/api/v1/documents;x=1",
		"/api/v1/%2e%2e/documents", "/api/v1/documents%2f1", "/api/v1/documents%5c1", "/api/v1/documents%00", "/api/v1/documents%20", "/api/v1/documents%3f",
		"/api/v1/documents%23", "/api/v1/documents%25", "/api/v1/documents%c3%a9", "/api/v1/documents%7f", "/api/v1/documents%zz", "/api/v1/documents%", "/api/v1/documents!",
		`/api/v1/documents\1`, "/api/v1/" + strings.Repeat("a", 8200),
	} {
		for _, headers := range [][]string{nil, bearer("$ARTOS_TOKEN")} {
			r := plain().send(t, "artos", "GET "+target, headers...)
			r.denied(t, 400, `{"detail":"The request is malformed"}`)
		}
	}
	r := plain().send(t, "authenta", "GET /api/v1//jobs")
	r.denied(t, 400, `{"code":"BAD_REQUEST","statusCode":400,"message":"The request is malformed"}`)
}

func TestOrdinaryPathsReachTheUpstreamAsTheyAre(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, target := range []string{
			"/api/v1/templates", "/api/v1/templates/", "/api/v1/templates/a.b-c_d~e", "/api/v1/templates/a:b@c,d=e$$f&g'h(i)*j+k",
			"/api/v1/templates/?q=%2e%2e%2f;a=//../x?y=z#", "/api/v1/templates/Case", "/", "/api/v1/templates/%40me",
		} {
			target = strings.ReplaceAll(strings.TrimSuffix(target, "#"), "$$", "%24")
			seen := g.send(t, "artos", "GET "+target, bearer("$ARTOS_TOKEN")...).allowed(t)
			path, query, _ := strings.Cut(target, "?")
			if seen.Path != path && !(g.hardened && strings.Contains(path, "%")) || seen.Query != query {
				t.Errorf("sent %s, the upstream received %s?%s", target, seen.Path, seen.Query)
			}
		}
	})
}

func TestTricksOnTheCompanyPathReachNoOtherCompany(t *testing.T) {
	tricks := map[string]string{
		"up to another":                 "/api/v1/companies/company_acme/../org_other/datasets/",
		"up, encoded":                   "/api/v1/companies/company_acme/%2e%2e/org_other/datasets/",
		"up, by an encoded slash":       "/api/v1/companies/company_acme%2f..%2forg_other/datasets/",
		"up, by a backslash":            `/api/v1/companies/company_acme\..\org_other/datasets/`,
		"up, with a parameter":          "/api/v1/companies/company_acme/..;/org_other/datasets/",
		"up two, down again":            "/api/v1/companies/company_acme/../../companies/org_other/datasets/",
		"an encoded letter of the id":   "/api/v1/companies/%6frg_other/datasets/",
		"an encoded letter of the word": "/api/v1/compani%65s/org_other/datasets/",
		"the word in capitals":          "/api/v1/COMPANIES/org_other/datasets/",
		"all in capitals":               "/API/V1/COMPANIES/org_other/datasets/",
		"the id in capitals":            "/api/v1/companies/ORG_OTHER/datasets/",
		"a double slash":                "/api/v1//companies/org_other/datasets/",
		"a double slash before the id":  "/api/v1/companies//org_other/datasets/",
		"a dot segment before the id":   "/api/v1/companies/./org_other/datasets/",
		"a parameter on the word":       "/api/v1/companies;x=1/org_other/datasets/",
		"a parameter on the id":         "/api/v1/companies/org_other;x=1/datasets/",
		"a NUL behind the id":           "/api/v1/companies/org_other%00/datasets/",
		"a blank behind the id":         "/api/v1/companies/org_other%20/datasets/",
		"a plus behind the id":          "/api/v1/companies/org_other+/datasets/",
		"a dot behind the id":           "/api/v1/companies/org_other./datasets/",
		"two ids by a comma":            "/api/v1/companies/company_acme,org_other/datasets/",
		"an extension":                  "/api/v1/companies/org_other.json",
		"no more than the id":           "/api/v1/companies/org_other",
		"UTF-8 in the id":               "/api/v1/companies/org_other\xcc\x81/datasets/",
		"a long id":                     "/api/v1/companies/" + strings.Repeat("a", 65) + "/datasets/",
	}
	throughEach(t, func(t *testing.T, g gate) {
		for says, target := range tricks {
			t.Run(says, func(t *testing.T) {
				g.send(t, "datasets", "GET "+target).refused(t)
				r := g.send(t, "datasets", "GET "+target, bearer("$DATASETS_TOKEN")...)
				seen, ok := r.reached()
				if ok && (strings.Contains(seen.Path, "org_other") || strings.Join(seen.Headers["x-org-id"], "|") != "company_acme" || !g.hardened) {
					t.Errorf("the upstream was reached at %s for %v", seen.Path, seen.Headers["x-org-id"])
				}
				if !ok {
					r.refused(t)
				}
			})
		}
	})
}

// The key has no credits: an answer of the upstream would be a job for nothing.
func TestTricksOnTheMeteredPathStartNoJobForNothing(t *testing.T) {
	tricks := []string{
		"/api/v1/jobs/", "/api/v1/jobs//", "/api/v1//jobs", "//api/v1/jobs", "/api/v1/./jobs", "/api/v1/jobs/.", "/api/v1/x/../jobs", "/api/v1/jobs;x=1", "/api/v1/jobs/;x=1",
		"/api/v1/jobs%2f", "/api/v1/jobs%20", "/api/v1/jobs%00", "/api/v1/jobs%3f", "/api/v1/%6aobs", "/api/v1/jo%62s", "/api/v1/jo%42s", "/API/v1/jobs", "/api/v1/Jobs", "/api/v1/JOBS/", "/api/V1/%4aobs",
		"/api/v1/jobs?", "/api/v1/jobs?a=/../x", "/api/v1/jobs#", "/api/v1/jobs!", `/api/v1\jobs`, "/api/v1/jobs\x80", "/api/%76%31/jobs", "/api/v1/jobs%2e", "/api/v1/%2e/jobs",
	}
	throughEach(t, func(t *testing.T, g gate) {
		for _, target := range tricks {
			g.send(t, "authenta", "POST "+target, bearer("$AUTHENTA_NOBALANCE_KEY")...).refused(t)
			g.send(t, "authenta", "POST "+target).refused(t)
		}
	})
}

// The query is always as the client wrote it, also behind a hardened Envoy.
func TestTricksInTheQueryReachNoForeignProject(t *testing.T) {
	const (
		malformed = `{"error":"The request is malformed"}`
		foreign   = `{"error":"The requested project or resource does not belong to the organization"}`
		unknown   = `{"error":"Resource does not exist"}`
	)
	rows := []struct {
		query  string
		status int
		body   string
	}{
		{"projectSlug=their-project", 403, foreign},
		{"project%53lug=their-project", 403, foreign},
		{"projectSlug=their%2dproject", 403, foreign},
		{"a=1&projectSlug=their-project&b", 403, foreign},
		{"projectSlug=my-project&projectSlug=their-project", 400, malformed},
		{"projectSlug=their-project&projectSlug=my-project", 400, malformed},
		{"projectSlug=my-project&projectSlug=my-project", 400, malformed},
		{"projectSlug=my-project&project%53lug=their-project", 400, malformed},
		{"projectSlug[]=their-project", 400, malformed},
		{"projectSlug=my-project&projectSlug[]=their-project", 400, malformed},
		{"projectSlug=my-project&projectSlug%5b0%5d=their-project", 400, malformed},
		{"projectSlug.x=their-project", 400, malformed},
		{"projectslug=their-project", 400, malformed},
		{"PROJECTSLUG=their-project", 400, malformed},
		{"+projectSlug=their-project", 400, malformed},
		{"projectSlug+=their-project", 400, malformed},
		{"%20projectSlug=their-project", 400, malformed},
		{"projectSlug%00=their-project", 400, malformed},
		{"projectSlug=my-project;projectSlug=their-project", 400, malformed},
		{"a;projectSlug=their-project", 400, malformed},
		{"projectSlug=my-project&%zz=1", 400, malformed},
		{"projectSlug=their-project%zz", 400, malformed},
		{"projectSlug=their-project%", 400, malformed},
		{"projectSlug=%ff", 400, malformed},
		{"projectSlug=my-project?projectSlug=their-project", 404, unknown},
		{"?projectSlug=their-project", 200, ""}, // another name, which begins with ?
		{"projectSlug=their-project%00", 404, unknown},
		{"projectSlug=my-project%20", 404, unknown},
		{"projectSlug=My-Project", 404, unknown},
		{"projectSlug=", 404, unknown},
		{"projectSlug", 404, unknown},
	}
	throughEach(t, func(t *testing.T, g gate) {
		for _, row := range rows {
			t.Run(row.query, func(t *testing.T) {
				r := g.send(t, "artanis", "GET /api/prompts?"+row.query, "x-api-key: $ARTANIS_API_KEY", "x-org-slug: my-org")
				if row.status != 200 {
					r.denied(t, row.status, row.body)
					return
				}
				if seen := r.allowed(t); seen.Headers["x-project-id"] != nil {
					t.Errorf("the upstream was told of the project %v", seen.Headers["x-project-id"])
				}
			})
		}
	})
}

// Postern does not see bodies: what they say of a project is for the upstream to
// hold against the project that Postern names.
func TestProjectInABodyIsNotWhatTheUpstreamIsTold(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for line, want := range map[string]string{"POST /api/prompts": "", "POST /api/prompts?projectSlug=my-project": "proj_mine"} {
			seen := g.sendBody(t, "artanis", line, "projectSlug=their-project", "Content-Type: application/x-www-form-urlencoded",
				"x-api-key: $ARTANIS_API_KEY", "x-org-slug: my-org", "x-project-id: proj_theirs").allowed(t)
			if have := told(seen)["x-project-id"]; have != want {
				t.Errorf("%s: the upstream was told of the project %q, want %q", line, have, want)
			}
		}
	})
}

func TestDenialCannotBeSplitByWhatAClientSends(t *testing.T) {
	throughEach(t, func(t *testing.T, g gate) {
		for _, line := range []string{
			"GET /api/v1/templates/%0d%0aSet-Cookie:evil=1", "GET /api/v1/templates/?a=%0d%0aSet-Cookie:evil=1", "GET /api/v1/%0aSet-Cookie:evil=1%0a%0a<html>",
		} {
			for _, headers := range [][]string{nil, bearer("a%0d%0aSet-Cookie:evil=1"), bearer("a\rSet-Cookie: evil=1"), {"Authorization: Bearer a\nX-Evil: 1"}} {
				r := g.send(t, "artos", line, headers...)
				r.refused(t)
				if r.header.Get("Set-Cookie") != "" || r.header.Get("X-Evil") != "" || strings.Contains(r.body, "evil") || r.after != "" {
					t.Errorf("%s: the client wrote into its own answer: %v %s %q", line, r.header, r.body, r.after)
				}
			}
		}
	})
}
