package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"postern/authz/identity"
)

var update = flag.Bool("update", false, "rewrite the generated documents")

func TestDocumentsAreWhatTheStructSays(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	for name, want := range map[string][]byte{"configuration.md": Reference(), "config.schema.json": Schema()} {
		path := filepath.Join(docs, name)
		if *update {
			if err := os.MkdirAll(docs, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is out of date: run go test ./internal/config -update", path)
		}
	}
}

func TestEveryFieldIsDocumentedAndItsBoundsAreWhole(t *testing.T) {
	cfg := Default()
	for _, f := range fields(&cfg) {
		if !strings.HasSuffix(f.doc(), ".") {
			t.Errorf("%s: its doc is no sentence: %q", f.path, f.doc())
		}
		if f.tag.Get("yaml") == "" {
			t.Errorf("%s: has no name", f.path)
		}
		if bounded := f.kind() == "int" || f.kind() == "number" || f.kind() == "duration"; bounded && (f.tag.Get("min") == "" || f.tag.Get("max") == "") {
			t.Errorf("%s: a %s without bounds", f.path, f.kind())
		}
	}
}

func TestSchemaNamesEveryFieldOfTheFile(t *testing.T) {
	var root schema
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	for _, f := range fields(&cfg) {
		place := &root
		for _, name := range strings.Split(f.path, ".") {
			if place = place.Properties[name]; place == nil {
				t.Fatalf("%s is not in the schema", f.path)
			}
		}
	}
}

func TestStoreURLNamesOneFileOrADatabase(t *testing.T) {
	for text, want := range map[string]StoreURL{
		"sqlite:///var/lib/postern.db": {Engine: SQLite, Path: "/var/lib/postern.db"},
		"sqlite:/var/lib/postern.db":   {Engine: SQLite, Path: "/var/lib/postern.db"},
		"sqlite:.run/postern.db":       {Engine: SQLite, Path: ".run/postern.db"},
		"sqlite:./postern.db":          {Engine: SQLite, Path: "postern.db"},
		"postgres://u:p@a,b/db":        {Engine: Postgres, URL: identity.NewSecret("postgres://u:p@a,b/db")},
		"postgresql://host/db":         {Engine: Postgres, URL: identity.NewSecret("postgresql://host/db")},
	} {
		if have, err := ParseStoreURL(text); err != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("%s: got %+v, %v", text, have, err)
		}
	}
	for _, text := range []string{
		"", "postern.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite://host/postern.db", "sqlite::memory:",
		"sqlite:///a.db?mode=ro", "sqlite:dir/", "mysql:x",
	} {
		if have, err := ParseStoreURL(text); err == nil {
			t.Errorf("%q was accepted as %+v", text, have)
		}
	}
}

func TestListenTakesTCPAndUnixAddresses(t *testing.T) {
	for text, want := range map[string][2]string{
		"127.0.0.1:9001":       {"tcp", "127.0.0.1:9001"},
		":0":                   {"tcp", ":0"},
		"[::1]:9001":           {"tcp", "[::1]:9001"},
		"unix:///run/postern":  {"unix", "/run/postern"},
		"unix:/run/check.sock": {"unix", "/run/check.sock"},
	} {
		network, address, err := ParseListen(text)
		if err != nil || [2]string{network, address} != want {
			t.Errorf("%s: got %s %s, %v", text, network, address, err)
		}
	}
	for _, text := range []string{"", "9001", "localhost", "127.0.0.1:http", "127.0.0.1:70000", "unix:", "unix://relative", "unix:relative"} {
		if network, address, err := ParseListen(text); err == nil {
			t.Errorf("%q was accepted as %s %s", text, network, address)
		}
	}
}

func TestCheckAndManagementDoNotShareAnAddress(t *testing.T) {
	_, err := Load([]string{"--admin-listen=127.0.0.1:9001"}, environment(nil))
	if err == nil || !strings.Contains(err.Error(), "same as check.listen") {
		t.Errorf("got %v", err)
	}
	if _, err := Load([]string{"--admin-listen=127.0.0.1:0", "--check-listen=127.0.0.1:0"}, environment(nil)); err != nil {
		t.Errorf("port 0 is a different port each time: %v", err)
	}
}

func FuzzParseAddresses(f *testing.F) {
	for _, seed := range []string{"sqlite:///a", "unix:///a", "[::1]:0", "sqlite:..", "unix:///"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if u, err := ParseStoreURL(text); err == nil && (u.Path == "" || strings.ContainsAny(u.Path, "?#")) {
			t.Errorf("%q names the file %q", text, u.Path)
		}
		if network, address, err := ParseListen(text); err == nil && (network == "" || address == "") {
			t.Errorf("%q listens on %q %q", text, network, address)
		}
	})
}

func TestNoProblemRepeatsAnAddressOfTheStore(t *testing.T) {
	for _, text := range []string{
		"postgre://u:pass-word@host/db", "mysql://host/db?password=pass-word", "sqlite://u:pass-word@host/db",
		"sqlite:///a?key=pass-word", "sqlite:pass-word/", "host=h password=pass-word", "postgres:pass-word",
	} {
		_, err := Load([]string{"--store-url=" + text}, environment(nil))
		if err == nil || strings.Contains(err.Error(), "pass-word") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestTheAddressOfTheStoreMayStandInAFileOfItsOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("postgres://u:p@host/db\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "postern.yaml")
	if err := os.WriteFile(config, []byte("store:\n  url_file: "+path+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, load := range map[string]func() (Config, error){
		"variable": func() (Config, error) {
			return Load(nil, environment(map[string]string{"POSTERN_STORE_URL_FILE": path}))
		},
		"field": func() (Config, error) { return Load([]string{"--config", config}, environment(nil)) },
	} {
		if c, err := load(); err != nil || c.Store.URL != "postgres://u:p@host/db" {
			t.Errorf("%s: got %q, %v", name, c.Store.URL, err)
		}
	}
}
