package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Root is the folder of the project: the nearest one above the working directory
// with a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = parent
	}
}

// File reads a file of the project, by its path below the root.
func File(t testing.TB, path ...string) []byte {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Envoy is the binary for a test, installed in the project's .run/envoy if need be.
func Envoy(t testing.TB) string {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := EnvoyBinary(t.Context(), filepath.Join(root, ".run", "envoy"))
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// RunEnvoy starts an Envoy with the configuration and stops it after the test.
func RunEnvoy(t testing.TB, config []byte) *Process {
	t.Helper()
	p, err := StartEnvoy(t.Context(), EnvoyOptions{Binary: Envoy(t), Config: config, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(5 * time.Second) })
	return p
}
