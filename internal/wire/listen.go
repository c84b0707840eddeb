package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"postern/internal/config"
)

// listen opens an address of the configuration. A unix socket left by a server
// that is gone is replaced; one that still answers is not.
func listen(ctx context.Context, field, text string) (net.Listener, error) {
	network, address, err := config.ParseListen(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if network == "unix" {
		if err := clearSocket(ctx, address); err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%s: opening %s: %w; choose another address or stop what uses it", field, text, err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o660); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: restricting the socket: %w", field, err), listener.Close())
		}
	}
	return listener, nil
}

func clearSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for an old socket: %w", err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is no socket; remove it or choose another path", path)
	}
	if conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
		return errors.Join(fmt.Errorf("%s is in use by a running server; stop it or choose another path", path), conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing an old socket: %w", err)
	}
	return nil
}
