package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgresTools are PostgreSQL's programs and whom they run as.
type postgresTools struct {
	bin        string
	credential *syscall.Credential // nil: as this process
}

func (t postgresTools) path(name string) string { return filepath.Join(t.bin, name) }

func (t postgresTools) environment(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "TZ=UTC"}
}

func (t postgresTools) run(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, t.path(name), args...)
	cmd.Dir, cmd.Env = dir, t.environment(dir)
	cmd.SysProcAttr = childAttributes(t.credential)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, lastBytes(output, 500))
	}
	return nil
}

// findPostgres finds the programs, and installs them where there are none.
func findPostgres(ctx context.Context) (postgresTools, error) {
	bin := postgresFolder()
	if bin == "" {
		root, err := Root()
		if err != nil {
			return postgresTools{}, err
		}
		if err := run(ctx, filepath.Join(root, "internal", "testenv", "install.sh")); err != nil {
			return postgresTools{}, err
		}
		if bin = postgresFolder(); bin == "" {
			return postgresTools{}, errors.New("no initdb in PATH or /usr/lib/postgresql: install PostgreSQL")
		}
	}
	credential, err := postgresUser()
	return postgresTools{bin: bin, credential: credential}, err
}

func postgresFolder() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if file, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(file)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// postgresUser is whom a server runs as that root starts.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("id of the user %s: %w", account.Username, err)
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group of the user %s: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
