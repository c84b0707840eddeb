package authz

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestPathsThatParsersReadDifferentlyAreRefused(t *testing.T) {
	refused := map[string]string{
		"an empty target":           "",
		"a target without a slash":  "api/v1",
		"the asterisk form":         "*",
		"an absolute form":          "http://host/api",
		"a double slash":            "/api//v1",
		"a leading double slash":    "//api/v1",
		"a trailing double slash":   "/api/v1//",
		"a dot segment":             "/api/./v1",
		"a last dot segment":        "/api/v1/.",
		"a parent segment":          "/api/v1/search/status/../documents",
		"a last parent segment":     "/api/v1/..",
		"an encoded parent":         "/api/%2e%2e/documents",
		"half an encoded parent":    "/api/.%2E/documents",
		"an encoded slash":          "/api%2fv1",
		"an upper-case slash":       "/api%2Fv1",
		"an encoded backslash":      "/api%5cv1",
		"a backslash":               `/api\v1`,
		"a path parameter":          "/api/v1/search/status;x=1",
		"a dotted path parameter":   "/api/..;/v1",
		"an encoded semicolon":      "/api/v1/status%3bx",
		"an encoded question mark":  "/api/v1/status%3fx",
		"a fragment":                "/api#x",
		"an encoded fragment":       "/api%23x",
		"a double encoding":         "/api/%252e%252e/v1",
		"an encoded percent":        "/api%25",
		"an encoded NUL":            "/api/v1%00",
		"an encoded line feed":      "/api%0av1",
		"an encoded blank":          "/api/v1%20",
		"a blank":                   "/api/v1 ",
		"a tab":                     "/api\tv1",
		"an overlong encoding":      "/%c0%ae%c0%ae/v1",
		"encoded UTF-8":             "/caf%C3%A9",
		"a raw high byte":           "/caf\xe9",
		"DEL":                       "/api\x7f",
		"an encoded DEL":            "/api%7f",
		"an exclamation mark":       "/api!",
		"a cut escape":              "/api%6",
		"a lone percent":            "/api%",
		"an escape that is no hex":  "/api%zz",
		"more bytes than the bound": "/" + strings.Repeat("a", maxPath),
	}
	for what, target := range refused {
		if _, _, ok := splitPath(target); ok {
			t.Errorf("%s is let through: %q", what, target)
		}
		if target != "" {
			if _, _, ok := splitPath(target + "?x=1"); ok {
				t.Errorf("%s with a query is let through: %q", what, target)
			}
		}
	}
}

func TestOrdinaryPathsPassAsTheyStand(t *testing.T) {
	for _, target := range []string{
		"/", "/api/v1/templates/", "/api/v1/jobs", "/a.b/c..d/.well-known/x", "/a/...", "/~user/(x)*,'$&+=:@",
		"/%61bc/%41", "/UPPER/Case", "/a%2Db",
	} {
		got, query, ok := splitPath(target + "?q=/../;%00#\\?x")
		if !ok || got != target || query != "q=/../;%00#\\?x" {
			t.Errorf("splitPath(%q) = %q, %q, %v", target, got, query, ok)
		}
	}
}

func FuzzAPathThatPassesMeansTheSameToEveryParser(f *testing.F) {
	for _, seed := range []string{"/", "/api/v1/search/status", "/api/%2e%2e/x", "/a//b", "/a/./b", "/a;b", "/%61?x", "/a/", "/é", "/%c0%ae"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got, query, ok := splitPath(target)
		if !ok {
			return
		}
		if joined := got + "?" + query; joined != target && got != target {
			t.Fatalf("splitting changed %q to %q and %q", target, got, query)
		}
		decoded, err := url.PathUnescape(got)
		if err != nil {
			t.Fatalf("%q passed, and does not decode: %v", got, err)
		}
		for _, form := range []string{got, decoded} {
			clean := path.Clean(form)
			if strings.HasSuffix(form, "/") && clean != "/" {
				clean += "/"
			}
			if clean != form {
				t.Fatalf("%q passed, and normalizes to %q", form, clean)
			}
		}
		if strings.Count(decoded, "/") != strings.Count(got, "/") {
			t.Fatalf("%q passed, and decodes to other segments: %q", got, decoded)
		}
		for i := 0; i < len(decoded); i++ {
			if c := decoded[i]; c <= ' ' || c > '~' || strings.IndexByte(`\;?#`, c) >= 0 {
				t.Fatalf("%q passed, and decodes to a byte %q", got, c)
			}
		}
	})
}
