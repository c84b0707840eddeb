package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	maxKeySetBytes = 1 << 20
	fileInterval   = time.Second // between looks at a file
)

// JWKSFile reads an issuer's keys from a file, and again when the file changes.
// A file that cannot be read or understood leaves the last good keys in force; a
// key id that is not among them is then unavailable, not unknown.
type JWKSFile struct {
	path  string
	clock func() time.Time

	mu      sync.Mutex
	set     keySet // nil: never read
	problem error  // of the last reading
	looked  time.Time
	changed time.Time // the modification time and size of what was read
	size    int64
}

// NewJWKSFile names the file; it is read when it is first needed.
func NewJWKSFile(path string, clock func() time.Time) (*JWKSFile, error) {
	if path == "" || clock == nil {
		return nil, errors.New("making a key set from a file: path and clock must be set")
	}
	return &JWKSFile{path: path, clock: clock}, nil
}

// Key finds a key (Keys).
func (f *JWKSFile) Key(_ context.Context, keyID, algorithm string) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.clock(); f.looked.IsZero() || now.Sub(f.looked) >= fileInterval || now.Before(f.looked) {
		f.looked = now
		f.problem = f.reread()
	}
	if f.set == nil {
		return nil, fmt.Errorf("%w: reading the key set %s: %w", ErrUnavailable, f.path, f.problem)
	}
	key, err := f.set.find(keyID, algorithm)
	if err != nil && f.problem != nil {
		return nil, fmt.Errorf("%w: the key is not in the last good set of %s: %w", ErrUnavailable, f.path, f.problem)
	}
	return key, err
}

func (f *JWKSFile) reread() error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if f.set != nil && info.ModTime().Equal(f.changed) && info.Size() == f.size {
		return nil
	}
	document, err := readKeySet(file)
	if err != nil {
		return err
	}
	set, err := parseKeySet(document)
	if err != nil {
		return err
	}
	f.set, f.changed, f.size = set, info.ModTime(), info.Size()
	return nil
}

func readKeySet(from io.Reader) ([]byte, error) {
	document, err := io.ReadAll(io.LimitReader(from, maxKeySetBytes+1))
	if err != nil {
		return nil, err
	}
	if len(document) > maxKeySetBytes {
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxKeySetBytes)
	}
	return document, nil
}
