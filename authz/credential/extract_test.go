package credential_test

import (
	"strings"
	"testing"

	"postern/authz/credential"
	"postern/authz/reason"
)

var (
	bearer  = credential.Source{Place: credential.InBearer, Name: "authorization", Accept: credential.APIKey}
	header  = credential.Source{Place: credential.InHeader, Name: "x-api-key", Accept: credential.APIKey}
	session = credential.Source{Place: credential.InCookie, Name: "__session", Accept: credential.Token}
)

func field(name, value string) credential.Field { return credential.Field{Name: name, Value: value} }

func TestExtractReadsOneSpellingOfEachSource(t *testing.T) {
	long := strings.Repeat("a", credential.MaxLength)
	tests := []struct {
		name   string
		source credential.Source
		fields []credential.Field
		raw    string
		why    reason.Reason
	}{
		{"a bearer is found", bearer, []credential.Field{field("authorization", "Bearer abc")}, "abc", reason.Unset},
		{"the scheme's case does not matter", bearer, []credential.Field{field("authorization", "bEARER abc")}, "abc", reason.Unset},
		{"several spaces follow the scheme", bearer, []credential.Field{field("authorization", "Bearer    abc")}, "abc", reason.Unset},
		{"blanks around a bearer are trimmed", bearer, []credential.Field{field("authorization", " \tBearer abc\t ")}, "abc", reason.Unset},
		{"all characters of a b64token are read", bearer, []credential.Field{field("authorization", "Bearer aZ09-._~+/=")}, "aZ09-._~+/=", reason.Unset},
		{"no header is missing", bearer, nil, "", reason.MissingCredential},
		{"an empty header is missing", bearer, []credential.Field{field("authorization", "")}, "", reason.MissingCredential},
		{"another scheme is missing", bearer, []credential.Field{field("authorization", "Basic YTpi")}, "", reason.MissingCredential},
		{"a scheme that begins alike is missing", bearer, []credential.Field{field("authorization", "Bearerabc")}, "", reason.MissingCredential},
		{"a bearer with nothing behind it is missing", bearer, []credential.Field{field("authorization", "Bearer")}, "", reason.MissingCredential},
		{"a bearer with blanks behind it is missing", bearer, []credential.Field{field("authorization", "Bearer  \t ")}, "", reason.MissingCredential},
		{"a bearer in another header is missing", bearer, []credential.Field{field("x-authorization", "Bearer abc")}, "", reason.MissingCredential},
		{"a tab behind the scheme is malformed", bearer, []credential.Field{field("authorization", "Bearer\tabc")}, "", reason.MalformedCredential},
		{"a tab after the space is malformed", bearer, []credential.Field{field("authorization", "Bearer \tabc")}, "", reason.MalformedCredential},
		{"two words behind the scheme are malformed", bearer, []credential.Field{field("authorization", "Bearer abc def")}, "", reason.MalformedCredential},
		{"two headers are malformed", bearer, []credential.Field{field("authorization", "Bearer abc"), field("authorization", "Bearer abc")}, "", reason.MalformedCredential},
		{"two headers are malformed when one is empty", bearer, []credential.Field{field("authorization", ""), field("authorization", "Bearer abc")}, "", reason.MalformedCredential},
		{"two joined headers are malformed", bearer, []credential.Field{field("authorization", "Bearer a,Bearer b")}, "", reason.MalformedCredential},
		{"a joined header is malformed behind another scheme", bearer, []credential.Field{field("authorization", "Basic a,Bearer b")}, "", reason.MalformedCredential},
		{"a replaced byte is malformed", bearer, []credential.Field{field("authorization", "Bearer go!!od")}, "", reason.MalformedCredential},
		{"a byte beyond ASCII is malformed", bearer, []credential.Field{field("authorization", "Bearer go\xff\xfeod")}, "", reason.MalformedCredential},
		{"an oversized header is malformed", bearer, []credential.Field{field("authorization", "Bearer "+long)}, "", reason.MalformedCredential},

		{"a header of its own is found", header, []credential.Field{field("x-api-key", "k!y")}, "k!y", reason.Unset},
		{"a header of the largest size is found", header, []credential.Field{field("x-api-key", long)}, long, reason.Unset},
		{"blanks around a header are trimmed", header, []credential.Field{field("x-api-key", "\t key ")}, "key", reason.Unset},
		{"a blank header is missing", header, []credential.Field{field("x-api-key", "  ")}, "", reason.MissingCredential},
		{"a blank inside a header is malformed", header, []credential.Field{field("x-api-key", "k y")}, "", reason.MalformedCredential},
		{"a control byte in a header is malformed", header, []credential.Field{field("x-api-key", "k\x7fy")}, "", reason.MalformedCredential},
		{"a comma in a header is malformed", header, []credential.Field{field("x-api-key", "a,b")}, "", reason.MalformedCredential},
		{"a repeated header is malformed", header, []credential.Field{field("x-api-key", "a"), field("x-api-key", "b")}, "", reason.MalformedCredential},
		{"an oversized header of its own is malformed", header, []credential.Field{field("x-api-key", long+"a")}, "", reason.MalformedCredential},

		{"a cookie is found among others", session, []credential.Field{field("cookie", "a=1,2; __session=abc; b=2")}, "abc", reason.Unset},
		{"a cookie is found in a later field", session, []credential.Field{field("cookie", "a=1"), field("cookie", "__session=abc")}, "abc", reason.Unset},
		{"a cookie without the space is found", session, []credential.Field{field("cookie", "a=1;__session=abc")}, "abc", reason.Unset},
		{"no cookie is missing", session, []credential.Field{field("cookie", "a=1; b=2")}, "", reason.MissingCredential},
		{"a cookie whose name goes on is missing", session, []credential.Field{field("cookie", "__session2=abc")}, "", reason.MissingCredential},
		{"a cookie of another case is missing", session, []credential.Field{field("cookie", "__SESSION=abc")}, "", reason.MissingCredential},
		{"an empty cookie is missing", session, []credential.Field{field("cookie", "__session=")}, "", reason.MissingCredential},
		{"a repeated cookie is malformed", session, []credential.Field{field("cookie", "__session=abc; __session=abc")}, "", reason.MalformedCredential},
		{"a cookie repeated over two fields is malformed", session, []credential.Field{field("cookie", "__session=abc"), field("cookie", "__session=d")}, "", reason.MalformedCredential},
		{"a cookie repeated with a blank is malformed", session, []credential.Field{field("cookie", "__session=abc; __session =d")}, "", reason.MalformedCredential},
		{"a quoted cookie is malformed", session, []credential.Field{field("cookie", `__session="abc"`)}, "", reason.MalformedCredential},
		{"a cookie with a blank around its sign is malformed", session, []credential.Field{field("cookie", "__session =abc")}, "", reason.MalformedCredential},
		{"an oversized cookie is malformed", session, []credential.Field{field("cookie", "__session="+long+"a")}, "", reason.MalformedCredential},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, why := credential.Extract([]credential.Source{test.source}, test.fields)
			if why != test.why || found.Raw != test.raw {
				t.Fatalf("got %q, %v; want %q, %v", found.Raw, why, test.raw, test.why)
			}
			if (found.Source == nil) != (why == reason.MissingCredential) {
				t.Fatalf("source is %v with %v", found.Source, why)
			}
		})
	}
}

func TestTheFirstSourceThatIsPresentDecides(t *testing.T) {
	sources := []credential.Source{header, bearer, session}
	tests := []struct {
		name   string
		fields []credential.Field
		raw    string
		place  credential.Place
		why    reason.Reason
	}{
		{"the first of two wins", []credential.Field{field("authorization", "Bearer b"), field("x-api-key", "a")}, "a", credential.InHeader, reason.Unset},
		{"a malformed first is not made up for", []credential.Field{field("x-api-key", "a,b"), field("authorization", "Bearer b")}, "", credential.InHeader, reason.MalformedCredential},
		{"an absent first leaves it to the second", []credential.Field{field("authorization", "Bearer b"), field("cookie", "__session=c")}, "b", credential.InBearer, reason.Unset},
		{"an empty bearer leaves it to the cookie", []credential.Field{field("authorization", "Bearer "), field("cookie", "__session=c")}, "c", credential.InCookie, reason.Unset},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, why := credential.Extract(sources, test.fields)
			if why != test.why || found.Raw != test.raw || found.Source.Place != test.place {
				t.Fatalf("got %q from %v, %v", found.Raw, found.Source, why)
			}
		})
	}
}

// stripped is the value without the session's cookie, as an upstream gets it: one
// that has none stays as it is.
func stripped(value string) string {
	kept, found := credential.AppendCookies(nil, value, []string{"__session"})
	if !found {
		return value
	}
	return string(kept)
}

func TestSeveralCookieHeadersBecomeOne(t *testing.T) {
	kept, first := credential.AppendCookies(nil, "a=1; __session=abc", []string{"__session", "token"})
	kept, second := credential.AppendCookies(kept, "token=x;b=2;", []string{"__session", "token"})
	if string(kept) != "a=1; b=2" || !first || !second {
		t.Fatalf("got %q, %t, %t", kept, first, second)
	}
}

func TestStripCookieTakesEverySpellingOfTheCookieAway(t *testing.T) {
	tests := []struct{ name, value, want string }{
		{"the only cookie leaves nothing", "__session=abc", ""},
		{"the first of two leaves the second", "__session=abc; b=2", "b=2"},
		{"the last of two leaves the first", "b=2; __session=abc", "b=2"},
		{"one in the middle leaves both ends", "a=1; __session=abc; b=2", "a=1; b=2"},
		{"repeated ones all go", "__session=a;__session=b ; c=3", "c=3"},
		{"blanks around the name do not hide it", "a=1; __session =abc", "a=1"},
		{"a cookie without a value goes", "__session; a=1", "a=1"},
		{"a header without it stays as it is", "a=1;b=2; ", "a=1;b=2; "},
		{"a longer name stays", "__session2=abc", "__session2=abc"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := stripped(test.value); got != test.want {
				t.Fatalf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestOnlyThreePartsInBase64URLLookLikeAToken(t *testing.T) {
	tests := []struct {
		name string
		raw  string
		want bool
	}{
		{"three parts", "eyJhbGciOiJub25lIn0.eyJ9.c2ln", true},
		{"no signature", "eyJhbGciOiJub25lIn0.eyJ9.", false},
		{"two parts", "eyJhbGciOiJub25lIn0.eyJ9", false},
		{"four parts", "ey.a.b.c", false},
		{"an empty middle", "ey..c", false},
		{"another beginning", "abc.def.ghi", false},
		{"padding", "ey=.a.b", false},
		{"a key with a prefix", "api_0123456789", false},
		{"nothing", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := credential.LooksLikeToken(test.raw); got != test.want {
				t.Fatalf("got %v, want %v", got, test.want)
			}
		})
	}
}

func FuzzExtract(f *testing.F) {
	f.Add("Bearer abc", "key", "a=1; __session=abc")
	f.Add("bearer\tabc", "a,b", "__session=\"x\"")
	f.Add("Basic a,Bearer b", " ", ";;__session")
	f.Fuzz(func(t *testing.T, authorization, key, cookies string) {
		fields := []credential.Field{field("authorization", authorization), field("x-api-key", key), field("cookie", cookies)}
		for _, source := range []credential.Source{bearer, header, session} {
			found, why := credential.Extract([]credential.Source{source}, fields)
			if (why == reason.Unset) != (found.Raw != "") {
				t.Fatalf("%q with %v", found.Raw, why)
			}
			if strings.ContainsFunc(found.Raw, func(r rune) bool { return r <= ' ' || r > '~' || r == ',' }) {
				t.Fatalf("%q holds what no credential may", found.Raw)
			}
			twice := append(fields, fields...)
			if _, again := credential.Extract([]credential.Source{source}, twice); again == reason.Unset {
				t.Fatalf("accepted a credential that is there twice: %q", fields)
			}
		}
	})
}

func FuzzStripCookie(f *testing.F) {
	f.Add("a=1; __session=abc; b=2")
	f.Add("__session =x;__session;;")
	f.Fuzz(func(t *testing.T, value string) {
		got := stripped(value)
		if _, why := credential.Extract([]credential.Source{session}, []credential.Field{field("cookie", got)}); why != reason.MissingCredential {
			t.Fatalf("%q is still read from %q: %v", value, got, why)
		}
		if again := stripped(got); again != got {
			t.Fatalf("stripping %q again gives %q", got, again)
		}
		if strings.Count(got, "=") > strings.Count(value, "=") || len(got) > 2*len(value) {
			t.Fatalf("%q grew to %q", value, got)
		}
	})
}
