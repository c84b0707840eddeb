package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, ok := vars[name]
		return text, ok
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNothingGivenMeansTheDefaults(t *testing.T) {
	cfg, err := Load(nil, environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Check.Listen != "127.0.0.1:9001" || cfg.Admin.Listen != "127.0.0.1:9002" || !cfg.Profiles.Presets || cfg.Cache.TTL != 10*time.Second {
		t.Errorf("unexpected defaults: %+v", cfg)
	}
	if err := cfg.RequireAdminKey(); err == nil || !strings.Contains(err.Error(), "POSTERN_ADMIN_KEY") {
		t.Errorf("a server without an admin key must be refused with the remedy, got %v", err)
	}
}

func TestFlagsOverruleEnvironmentOverrulesFileOverrulesDefaults(t *testing.T) {
	file := writeFile(t, "postern.yaml", "log: {level: warn, format: text}\nprofiles:\n  files: [a.yaml, b.yaml]\n  presets: false\ncache:\n  ttl: 1s\n  negative_ttl: 500ms\n")
	env := map[string]string{"POSTERN_CONFIG": file, "POSTERN_LOG_LEVEL": "error", "POSTERN_CACHE_TTL": "2s"}
	cfg, err := Load([]string{"--cache-ttl=3s", "--profiles-presets", "--profiles-files", "c.yaml", "--profiles-files=d.yaml,e.yaml"}, environment(env))
	if err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"format from the file":          cfg.Log.Format == "text",
		"negative ttl from the file":    cfg.Cache.NegativeTTL == 500*time.Millisecond,
		"level from the environment":    cfg.Log.Level == "error",
		"ttl from the flag":             cfg.Cache.TTL == 3*time.Second,
		"presets from the flag":         cfg.Profiles.Presets,
		"repeated flags add, and split": strings.Join(cfg.Profiles.Files, " ") == "c.yaml d.yaml e.yaml",
		"size from the defaults":        cfg.Cache.Size == Default().Cache.Size,
	} {
		if !ok {
			t.Errorf("not so: %s (%+v)", what, cfg)
		}
	}
}

func TestConfigFlagOverrulesItsVariable(t *testing.T) {
	wanted := writeFile(t, "wanted.yaml", "environment: staging\n")
	cfg, err := Load([]string{"--config", wanted}, environment(map[string]string{"POSTERN_CONFIG": "/nonexistent.yaml"}))
	if err != nil || cfg.Environment != "staging" {
		t.Errorf("got %q, %v", cfg.Environment, err)
	}
}

func TestEveryProblemIsReportedAtOnceWithPlaceAndRemedy(t *testing.T) {
	file := writeFile(t, "postern.yaml", `stor:
  url: x
cache:
  ttl: 11s
  ttl: 1s
log:
  format: xml
  allow_sample: NaN
check: 9001
hash:
  workers: [1]
issuer:
`)
	env := map[string]string{"POSTERN_CONFIG": file, "POSTERN_STORE_URL": "mysql://postern:hunter2hunter2@db/postern", "POSTERN_ADMIN_KEY": "short"}
	_, err := Load([]string{"--admin-listen=9002", "--cache-size=many"}, environment(env))
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		file + ":1: stor is not a field",
		file + ":4: cache.ttl is 11s; use 1ms to 10s",
		file + ":5: cache.ttl is given twice",
		file + `:7: log.format is "xml"; use one of json, text`,
		file + ":8: log.allow_sample is NaN; use 0 to 1",
		file + ":9: check is not a mapping",
		file + ":11: hash.workers is not a single value",
		file + ":12: issuer has no value",
		"POSTERN_STORE_URL: store.url names no engine",
		"POSTERN_ADMIN_KEY: admin.key is 5 characters long; use 16 or more",
		`--admin-listen: admin.listen is "9002", which is no address`,
		`--cache-size: cache.size is "many"; write a whole number`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "short") {
		t.Errorf("a secret is shown:\n%v", err)
	}
	if t.Failed() {
		t.Logf("the whole error:\n%v", err)
	}
}

func TestUnreadableOrForeignFilesAreRefused(t *testing.T) {
	for name, path := range map[string]string{
		"missing":       filepath.Join(t.TempDir(), "none.yaml"),
		"not YAML":      writeFile(t, "a.yaml", "a: [1\n"),
		"two documents": writeFile(t, "b.yaml", "log: {}\n---\nlog: {}\n"),
		"a list":        writeFile(t, "c.yaml", "- log\n"),
	} {
		if _, err := Load([]string{"--config=" + path}, environment(nil)); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEmptyFileSaysNothing(t *testing.T) {
	for _, content := range []string{"", "# only a comment\n", "---\n", "log:\n"} {
		if _, err := Load([]string{"--config=" + writeFile(t, "postern.yaml", content)}, environment(nil)); err != nil {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestUnknownFlagsAndArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--admin-key=0123456789abcdef"}, {"--nope"}, {"serve"}} {
		if _, err := Load(args, environment(nil)); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	if _, err := Load([]string{"--help"}, environment(nil)); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
}

const adminKey = "0123456789abcdef-the-key"

func TestSecretComesFromEveryPlaceButAFlag(t *testing.T) {
	held := writeFile(t, "admin.key", adminKey+"\n")
	for name, vars := range map[string]map[string]string{
		"the variable":          {"POSTERN_ADMIN_KEY": adminKey},
		"the variable's file":   {"POSTERN_ADMIN_KEY_FILE": held},
		"the configuration":     {"POSTERN_CONFIG": writeFile(t, "postern.yaml", "admin: {key: "+adminKey+"}")},
		"the configured file":   {"POSTERN_CONFIG": writeFile(t, "postern.yaml", "admin:\n  key_file: "+held)},
		"the variable overrule": {"POSTERN_CONFIG": writeFile(t, "postern.yaml", "admin: {key: another-admin-key}"), "POSTERN_ADMIN_KEY": adminKey},
	} {
		cfg, err := Load(nil, environment(vars))
		if err != nil || cfg.Admin.Key.Reveal() != adminKey || cfg.RequireAdminKey() != nil {
			t.Errorf("%s: got %d characters, %v", name, len(cfg.Admin.Key.Reveal()), err)
		}
	}
}

func TestSecretGivenTwiceInOnePlaceIsRefused(t *testing.T) {
	held := writeFile(t, "admin.key", adminKey)
	for name, vars := range map[string]map[string]string{
		"in variables": {"POSTERN_ADMIN_KEY": adminKey, "POSTERN_ADMIN_KEY_FILE": held},
		"in the file":  {"POSTERN_CONFIG": writeFile(t, "postern.yaml", "admin: {key: "+adminKey+", key_file: "+held+"}")},
		"unreadable":   {"POSTERN_ADMIN_KEY_FILE": held + ".none"},
	} {
		if _, err := Load(nil, environment(vars)); err == nil || !strings.Contains(err.Error(), "admin.key") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSecretIsNeverShown(t *testing.T) {
	cfg, err := Load(nil, environment(map[string]string{"POSTERN_ADMIN_KEY": adminKey}))
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("start", "config", cfg, "key", cfg.Admin.Key)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("start", "config", cfg, "key", cfg.Admin.Key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&logged, verb, cfg)
	}
	if strings.Contains(logged.String(), adminKey) {
		t.Errorf("the key is shown in %s", logged.String())
	}
}
