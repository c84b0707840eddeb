package demo

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"postern/internal/demo/seed"
)

// seed fills the store through the management API and completes the variables.
func (d *Demo) seed(ctx context.Context) error {
	previous, err := readVariables(d.path("demo.env"))
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(d.address(portAdmin),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // loopback
		grpc.WithPerRPCCredentials(bearer(d.adminKey)))
	if err != nil {
		return fmt.Errorf("reach the management API: %w", err)
	}
	defer conn.Close()
	seeded, err := seed.Run(ctx, seed.Options{
		Admin:     conn,
		EngineURL: d.url(10005),
		EngineKey: d.engineKey,
		Sessions:  d.sessions,
		Platform:  d.platform,
		Previous:  previous,
	})
	if err != nil {
		return fmt.Errorf("seed: %w (see %s)", err, d.path("postern.log"))
	}
	d.variables = d.list(seeded, d.adminKey, d.engineKey)
	return nil
}

// bearer sends the admin key with every call.
type bearer string

// GetRequestMetadata is the header (credentials.PerRPCCredentials).
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: the call does not leave the machine.
func (b bearer) RequireTransportSecurity() bool { return false }
