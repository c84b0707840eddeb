package main

import (
	"context"
	"fmt"
	"strings"

	"postern/internal/bench/rig"
	adminv1 "postern/proto/postern/admin/v1"
)

// runRoutes measures the same request under profiles of more and more routes.
func (b *bench) runRoutes(ctx context.Context) error {
	if !b.any("routes/") {
		return nil
	}
	var profiles []string
	for _, n := range b.plan.routeCounts {
		profiles = append(profiles, routedProfile(n))
	}
	p, err := b.startPair(ctx, rig.Options{CPUs: b.all, Profiles: strings.Join(profiles, "---\n")}, "")
	if err != nil {
		return err
	}
	defer p.stop()
	for _, n := range b.plan.routeCounts {
		key, err := createKey(ctx, p.postern, routedName(n))
		if err != nil {
			return err
		}
		path := fmt.Sprintf("/api/v1/area%d/item_4711/parts", n-1)
		k := kind{"", get(routedName(n), path, bearer(key)), allows(routedName(n), "allowed")}
		if err := b.saturated(ctx, fmt.Sprint("routes/", n), p, k, b.plan.few, b.plan.connections, b.all); err != nil {
			return err
		}
	}
	return nil
}

func routedName(n int) string { return fmt.Sprint("routes-", n) }

// routedProfile is authenta's with so many routes instead of its own.
func routedProfile(n int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "profile: %s\nextends: authenta\nroutes:\n", routedName(n))
	for i := range n {
		fmt.Fprintf(&text, "  - { route: \"GET /api/v1/area%d/{item}/parts\", permission: READ }\n", i)
	}
	return text.String()
}

func createKey(ctx context.Context, p *rig.Postern, profile string) (string, error) {
	conn, ctx, err := p.Admin(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	created, err := adminv1.NewKeyServiceClient(conn).CreateKey(ctx, &adminv1.CreateKeyRequest{
		Profile: profile, OrganizationId: rig.BulkOrg, Name: "bench", Permissions: []string{"READ"},
	})
	if err != nil {
		return "", fmt.Errorf("make a key of %s: %w", profile, err)
	}
	return created.GetSecret(), nil
}
