package command_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/command"
	"postern/internal/testenv"
)

// The example configuration is checked as an operator would, with the files it
// names in a folder of the test's.
func TestTheExampleConfigurationIsGood(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("store-url", "postgres://postern:secret@db/postern\n")
	write("cache-url", "rediss://:secret@redis:6379\n")
	write("admin-key", "0123456789abcdef0123456789abcdef\n")
	write("profiles/shop.yaml", "profile: shop\nhosts: [shop.example]\ncredentials: [ { bearer: api_key } ]\napi_keys: { prefix: shop_, checksum: true }\n")
	write("postern.yaml", strings.ReplaceAll(string(testenv.File(t, "deploy", "postern.yaml")), "/etc/postern", folder))

	cmd := command.New(func(string) (string, bool) { return "", false })
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs([]string{"config", "check", "--config", filepath.Join(folder, "postern.yaml")})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "profile shop is good\n" {
		t.Errorf("it says %q", got)
	}
}
