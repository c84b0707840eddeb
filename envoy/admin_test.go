package envoy_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "postern/proto/postern/admin/v1"
)

// directory is the management API of a Postern, and what is made through it. The
// secrets that it makes are noted, so that they are looked for in the logs.
type directory struct {
	organizations adminv1.OrganizationServiceClient
	users         adminv1.UserServiceClient
	keys          adminv1.KeyServiceClient
	tokens        adminv1.TokenServiceClient
	resources     adminv1.ResourceServiceClient
	credits       adminv1.CreditServiceClient
	secrets       *secretList
}

func newDirectory(conn grpc.ClientConnInterface, secrets *secretList) directory {
	return directory{
		organizations: adminv1.NewOrganizationServiceClient(conn),
		users:         adminv1.NewUserServiceClient(conn),
		keys:          adminv1.NewKeyServiceClient(conn),
		tokens:        adminv1.NewTokenServiceClient(conn),
		resources:     adminv1.NewResourceServiceClient(conn),
		credits:       adminv1.NewCreditServiceClient(conn),
		secrets:       secrets,
	}
}

func (s *system) directory() directory { return newDirectory(s.admin, &s.secrets) }

// connect reads demo.env and reaches the management API.
func (s *system) connect() (err error) {
	if s.variables, err = readVariables(s.state); err != nil {
		return err
	}
	for name, value := range s.variables {
		if isSecret(name) {
			s.secrets.add(value)
		}
	}
	s.admin, err = dialAdmin(s.ports.admin, s.variables["POSTERN_ADMIN_KEY"])
	return err
}

func dialAdmin(port int, key string) (*grpc.ClientConn, error) {
	return grpc.NewClient(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(adminKey(key)))
}

// adminKey goes with every call.
type adminKey string

func (k adminKey) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(k)}, nil
}

func (k adminKey) RequireTransportSecurity() bool { return false }

func (d directory) key(ctx context.Context, profile, org string, permissions ...string) (id, secret string, err error) {
	made, err := d.keys.CreateKey(ctx, &adminv1.CreateKeyRequest{Profile: profile, OrganizationId: org, Name: "test", Permissions: permissions})
	if err != nil {
		return "", "", fmt.Errorf("create a key of %s: %w", profile, err)
	}
	d.secrets.add(made.GetSecret())
	return made.GetKey().GetId(), made.GetSecret(), nil
}

func (d directory) token(ctx context.Context, profile, org, user string, permissions ...string) (id, secret string, err error) {
	made, err := d.tokens.IssueToken(ctx, &adminv1.IssueTokenRequest{
		Profile: profile, OrganizationId: org, UserId: user, Name: "test", Permissions: permissions,
		Expiration: &adminv1.IssueTokenRequest_Ttl{Ttl: durationpb.New(time.Hour)},
	})
	if err != nil {
		return "", "", fmt.Errorf("issue a token of %s: %w", profile, err)
	}
	d.secrets.add(made.GetSecret())
	return made.GetToken().GetId(), made.GetSecret(), nil
}

// tenant makes an organization with credits.
func (d directory) tenant(ctx context.Context, id string, credits int64) error {
	_, err := d.organizations.CreateOrganization(ctx, &adminv1.CreateOrganizationRequest{Id: id, Slug: slugOf(id), Name: id})
	if err != nil {
		return fmt.Errorf("create the organization %s: %w", id, err)
	}
	if credits == 0 {
		return nil
	}
	_, err = d.credits.TopUp(ctx, &adminv1.TopUpRequest{OrganizationId: id, Amount: credits, Note: "test"})
	return err
}

// member makes a user of the organization.
func (d directory) member(ctx context.Context, org string, user *adminv1.CreateUserRequest, permissions ...string) error {
	if _, err := d.users.CreateUser(ctx, user); err != nil {
		return fmt.Errorf("create the user %s: %w", user.GetId(), err)
	}
	_, err := d.users.PutMembership(ctx, &adminv1.PutMembershipRequest{OrganizationId: org, UserId: user.GetId(), Permissions: permissions})
	return err
}

// unique is a name that no other test, and no repetition of this one, uses.
func unique(name string) string { return name + "_" + strings.ToLower(rand.Text()[:8]) }

// slugOf is the id of an organization as a slug.
func slugOf(id string) string { return strings.ReplaceAll(id, "_", "-") }

// must is the value of a call that has to succeed, inside a test.
func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
