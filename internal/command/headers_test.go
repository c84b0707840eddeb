package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/command"
)

func TestHeadersArePrintedForTheProfilesThatAreServed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.yaml")
	text := "profile: shop\nhosts: [shop.example]\ncredentials: [ { header: x-shop-key, as: api_key } ]\napi_keys: { prefix: shop_ }\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	printed := func(args ...string) string {
		cmd := command.New(func(string) (string, bool) { return "", false })
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append([]string{"config", "headers"}, args...))
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	both := printed("--profiles-files", file)
	for _, part := range []string{"- exact: x-shop-key\n", "- exact: x-org-slug\n", "[-._]+x[-._]+shop[-._]+key[-._]*"} {
		if !strings.Contains(both, part) {
			t.Errorf("%q is missing in\n%s", part, both)
		}
	}
	if own := printed("--profiles-files", file, "--profiles-presets=false"); !strings.Contains(own, "- exact: x-shop-key\n") || strings.Contains(own, "- exact: x-org-slug\n") {
		t.Errorf("for the profile alone it prints\n%s", own)
	}
}
