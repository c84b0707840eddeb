package authz

import (
	"net/url"
	"strings"
	"testing"
)

func TestAParameterIsReadOnlyWhereEveryParserReadsTheSame(t *testing.T) {
	const name = "projectSlug"
	tests := []struct {
		what, query, value string
		present, ok        bool
	}{
		{"no query", "", "", false, true},
		{"another parameter", "a=1&b=2", "", false, true},
		{"the parameter", "projectSlug=my-project", "my-project", true, true},
		{"the parameter among others", "a=1&projectSlug=my-project&b", "my-project", true, true},
		{"an encoded value", "projectSlug=my%2Dproject", "my-project", true, true},
		{"an encoded name", "project%53lug=x", "x", true, true},
		{"a plus for a blank", "projectSlug=a+b", "a b", true, true},
		{"no value", "projectSlug", "", true, true},
		{"an empty value", "projectSlug=", "", true, true},
		{"empty pairs", "&&projectSlug=x&&", "x", true, true},
		{"a second question mark", "x?projectSlug=a&projectSlug=b", "b", true, true},
		{"the parameter twice", "projectSlug=a&projectSlug=b", "", false, false},
		{"the parameter twice, once encoded", "projectSlug=a&project%53lug=b", "", false, false},
		{"another case", "projectslug=a", "", false, false},
		{"another case beside it", "projectSlug=a&PROJECTSLUG=b", "", false, false},
		{"an array", "projectSlug[]=a", "", false, false},
		{"an encoded array", "projectSlug%5B0%5D=a", "", false, false},
		{"a dotted name", "projectSlug.x=a", "", false, false},
		{"a padded name", "+projectSlug=a", "", false, false},
		{"a long s, which folds to s", "project%C5%BFlug=a", "", false, false},
		{"a semicolon", "a=1;projectSlug=b", "", false, false},
		{"a bad escape", "a=%zz", "", false, false},
		{"a cut escape", "projectSlug=a%2", "", false, false},
		{"invalid UTF-8", "a=%ff", "", false, false},
		{"a value over the bound", "projectSlug=" + strings.Repeat("a", maxParameter+1), "", false, false},
	}
	for _, test := range tests {
		value, present, ok := queryParameter(test.query, name)
		if value != test.value || present != test.present || ok != test.ok {
			t.Errorf("%s: queryParameter(%q) = %q, %v, %v; want %q, %v, %v",
				test.what, test.query, value, present, ok, test.value, test.present, test.ok)
		}
	}
}

func TestAPlainParameterCostsNoAllocation(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { queryParameter("a=1&projectSlug=my-project", "projectSlug") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAParameterThatIsReadIsWhatTheStandardLibraryReads(f *testing.F) {
	for _, seed := range []string{"projectSlug=a", "a=1&projectSlug=%41", "projectSlug=a&projectSlug=b", "a;b", "%", "project%53lug=x", "x=+"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		value, present, ok := queryParameter(query, "projectSlug")
		if !ok {
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q was read, and the standard library refuses it: %v", query, err)
		}
		got := values["projectSlug"]
		if present != (len(got) == 1) || (present && got[0] != value) || (!present && len(got) != 0) {
			t.Fatalf("%q: read %q, %v; the standard library reads %q", query, value, present, got)
		}
		for name := range values {
			if name != "projectSlug" && strings.EqualFold(strings.TrimSpace(name), "projectSlug") {
				t.Fatalf("%q was read beside its look-alike %q", query, name)
			}
		}
	})
}
