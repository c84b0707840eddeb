package profile_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/authz/profile"
	"postern/authz/reason"
)

var update = flag.Bool("update", false, "write the golden files and the schema anew")

const goldenFolder = "testdata/golden"

// TestEveryPresetAnswersEveryReasonByteForByte compares each denial with its
// golden file. A pair without a file fails, and so does a file without a pair.
func TestEveryPresetAnswersEveryReasonByteForByte(t *testing.T) {
	expected := map[string]bool{}
	set := presets(t)
	for _, name := range set.Names() {
		for _, r := range reason.Denials() {
			file := filepath.Join(goldenFolder, string(name), r.String()+".txt")
			expected[file] = true
			got := show(set.ByName(name).Answer(nil, r))
			if *update {
				write(t, file, got)
				continue
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Errorf("no golden answer (make it with -update): %v", err)
				continue
			}
			if got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		}
	}
	files, err := filepath.Glob(goldenFolder + "/*/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !expected[file] {
			t.Errorf("%s belongs to no preset and Reason; remove it", file)
		}
	}
}

// TestOAuthEndpointsAnswerInOAuthJSON holds RFC 6749 § 5.2 for what is denied
// where clients get their tokens.
func TestOAuthEndpointsAnswerInOAuthJSON(t *testing.T) {
	p := presets(t).ByName("arthur-platform")
	for _, path := range []string{"token", "auth/device", "revoke"} {
		route, ok := p.Match("POST", "/realms/arthur/protocol/openid-connect/"+path, nil)
		if !ok || !route.Public {
			t.Fatalf("%s is not public", path)
		}
		for r, want := range map[reason.Reason]string{
			reason.BadRequest:  `{"error":"invalid_request","error_description":"The request is malformed"}`,
			reason.Unavailable: `{"error":"temporarily_unavailable","error_description":"Authentication is temporarily unavailable"}`,
			reason.Overloaded:  `{"error":"temporarily_unavailable","error_description":"Too many requests are waiting, try again"}`,
			reason.Internal:    `{"error":"server_error","error_description":"Internal error"}`,
		} {
			if got := p.Answer(route, r).Body; got != want {
				t.Errorf("%s, %v: got %s, want %s", path, r, got, want)
			}
		}
	}
}

func show(a *profile.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP %d\n", a.Status)
	for _, h := range a.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	fmt.Fprintf(&b, "\n%s\n\ngRPC %d\n", a.Body, a.GRPCStatus)
	for _, h := range a.GRPCHeaders {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	fmt.Fprintf(&b, "\n%s\n", a.GRPCMessage)
	return b.String()
}

func presets(t testing.TB) *profile.Set {
	t.Helper()
	return load(t, true)
}

func load(t testing.TB, presets bool, files ...string) *profile.Set {
	t.Helper()
	set, err := profile.Load(presets, files...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// written is a profile file with the given text.
func written(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "api.yaml")
	write(t, file, text)
	return file
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// keyed is the smallest profile, with more of its fields appended.
func keyed(t testing.TB, fields string) *profile.Profile {
	t.Helper()
	return load(t, false, written(t, minimal+fields)).ByName("api")
}

const minimal = `profile: api
credentials: [{ bearer: api_key }]
api_keys: { prefix: k_ }
`
