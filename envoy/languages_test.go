package envoy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/demo/upstream"
)

// example is a script of testdata/examples: the calls of a document as they stand,
// but for host and credential, which it takes from the environment.
type example struct {
	file string
	want []string // what the upstream must have received, in order
	org  string   // whom it was told of
}

func examples() []example {
	return []example{
		{"artos.sh", []string{"GET /api/v1/templates/", "GET /api/v1/search/status", "GET /api/v1/templates/"}, "org_my"},
		{"artos.py", []string{"GET /api/v1/templates/", "GET /api/v1/documents/"}, "org_my"},
		{"artos.mjs", []string{"GET /api/v1/templates/", "GET /api/v1/documents/"}, "org_my"},
		{"artos.go.txt", []string{"GET /api/v1/documents/"}, "org_my"},
		{"datasets.sh", []string{"GET /api/v1/companies/company_acme/datasets/"}, "company_acme"},
		{"datasets.py", []string{"GET /api/v1/companies/company_acme/datasets/"}, "company_acme"},
		{"datasets.mjs", []string{"GET /api/v1/companies/company_acme/datasets/"}, "company_acme"},
		{"artanis.sh", []string{"GET /api/prompts"}, "org_my"},
		{"artanis.py", []string{"GET /api/prompts"}, "org_my"},
		{"artanis.mjs", []string{"GET /api/prompts"}, "org_my"},
		{"arthur-platform.mjs", []string{"POST /realms/arthur/protocol/openid-connect/token", "GET /api/v1/organizations"}, "org_my"},
		{"arthur-engine.sh", []string{"GET /api/v2/tasks"}, "org_default"},
		{"arthur-engine.py", []string{"GET /api/v2/tasks"}, "org_default"},
		{"arthur-engine.mjs", []string{"GET /api/v2/tasks"}, "org_default"},
		{"authenta.sh", []string{"GET /api/v1/jobs"}, "org_media"},
		{"authenta.py", []string{"GET /api/v1/jobs"}, "org_media"},
		{"authenta.mjs", []string{"GET /api/v1/jobs"}, "org_media"},
	}
}

// It is not parallel: compilers and interpreters would keep Postern waiting.
func TestExamplesOfTheDocumentsWorkInEveryLanguage(t *testing.T) {
	install := exec.Command(filepath.Join(world.root, "internal", "testenv", "install.sh"))
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install what the examples need: %v\n%s", err, output)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "examples", "*"))
	if err != nil || len(files) != len(examples()) {
		t.Errorf("%d files, and %d of them are run: %v", len(files), len(examples()), err)
	}
	for _, e := range examples() {
		t.Run(e.file, func(t *testing.T) {
			received := runExample(t, e.file, nil)
			var lines []string
			for _, seen := range received {
				lines = append(lines, seen.Method+" "+seen.Path)
				if org, ok := told(seen)["x-org-id"]; ok && org != e.org {
					t.Errorf("%s: the upstream was told of %s", seen.Path, org)
				}
			}
			if !slices.Equal(lines, e.want) {
				t.Fatalf("the upstream received %q, want %q", lines, e.want)
			}
			if told(received[len(received)-1])["x-org-id"] != e.org {
				t.Errorf("the upstream was told %v", told(received[len(received)-1]))
			}
			if strings.HasPrefix(e.file, "artanis") && (received[0].Query != "projectSlug=my-project" || told(received[0])["x-project-id"] != "proj_mine") {
				t.Errorf("the query was %q, and the upstream was told %v", received[0].Query, told(received[0]))
			}
		})
	}
}

func TestExamplesWithBadCredentialsGetTheDocumentedErrors(t *testing.T) {
	for file, c := range map[string]struct{ variable, value, body string }{
		"artos.py":     {"ARTOS_TOKEN", "$ARTOS_REVOKED_TOKEN", `{"detail": "Invalid authentication credentials"}`},
		"artos.mjs":    {"ARTOS_TOKEN", "", `{"detail":"Not authenticated"}`},
		"datasets.sh":  {"DATASETS_TOKEN", "$DATASETS_EXPIRED_TOKEN", `{"type":"client_error","errors":[{"code":"invalid_token","detail":"The provided token is expired or invalid.","attr":null,"extra":null}]}`},
		"authenta.mjs": {"AUTHENTA_API_KEY", "$AUTHENTA_REVOKED_KEY", authentaInvalid},
	} {
		t.Run(file, func(t *testing.T) {
			output := outputOf(t, file, []string{c.variable + "=" + fill(t, c.value)})
			if !strings.Contains(string(output), c.body) {
				t.Errorf("it printed %s, want %s", output, c.body)
			}
		})
	}
}

// runExample returns what the upstream said it received, of all that the script
// printed.
func runExample(t *testing.T, file string, env []string) (received []upstream.Received) {
	t.Helper()
	output := outputOf(t, file, env)
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return received
		}
		if err != nil {
			t.Fatalf("it printed something else than JSON: %v\n%s", err, output)
		}
		var made struct{ ID, Key string }
		if json.Unmarshal(raw, &made) == nil && made.Key != "" { // the answer of Postern's own key API
			world.secrets.add(made.Key)
			g := hardened()
			if r := g.send(t, "arthur-engine", "DELETE /auth/api_keys/deactivate/"+made.ID, master()...); r.status != 204 {
				t.Errorf("the key that it made: %s", r)
			}
			continue
		}
		var seen upstream.Received
		if err := json.Unmarshal(raw, &seen); err != nil || seen.Method == "" {
			t.Fatalf("it got %s", raw)
		}
		received = append(received, seen)
	}
}

func outputOf(t *testing.T, file string, env []string) []byte {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "examples", file))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var command *exec.Cmd
	switch {
	case strings.HasSuffix(file, ".sh"):
		command = exec.CommandContext(ctx, "bash", "-eu", path)
	case strings.HasSuffix(file, ".py"):
		command = exec.CommandContext(ctx, "python3", path)
	case strings.HasSuffix(file, ".mjs"):
		command = exec.CommandContext(ctx, "node", path)
	default:
		program := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(program, must[[]byte](t)(os.ReadFile(path)), 0o600); err != nil {
			t.Fatal(err)
		}
		command = exec.CommandContext(ctx, "go", "run", program)
	}
	command.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(world.root, ".run", "python"), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	for name, value := range world.variables {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Env = append(command.Env, env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", file, err, stderr.String())
	}
	return output
}
