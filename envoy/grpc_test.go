package envoy_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// call makes a gRPC call of any method through the API's listener.
func (g gate) call(t *testing.T, api, method string, headers ...string) *status.Status {
	t.Helper()
	return status.Convert(call(t, g.address(api), method, headers...))
}

func call(t *testing.T, address, method string, headers ...string) error {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range headers {
		headers[i] = fill(t, headers[i])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	return conn.Invoke(metadata.AppendToOutgoingContext(ctx, headers...), method, &emptypb.Empty{}, &emptypb.Empty{})
}

func TestGRPCClientsGetAStatusAndAPlainMessage(t *testing.T) {
	const (
		failed = "API key authentication failed"
		barred = "You don't have permission to access this"
		broke  = "Insufficient balance. Please top up or enable pay-as-you-go billing"
	)
	throughEach(t, func(t *testing.T, g gate) {
		for _, c := range []struct {
			says, api, method, credential string
			code                          codes.Code
			message                       string
		}{
			{"a bad key", "authenta", "/jobs.v1.Jobs/Create", "Bearer api_nonsense", codes.Unauthenticated, failed},
			{"a revoked key", "authenta", "/jobs.v1.Jobs/Create", "Bearer $AUTHENTA_REVOKED_KEY", codes.Unauthenticated, failed},
			{"a key that may not write", "authenta", "/jobs.v1.Jobs/Create", "Bearer $AUTHENTA_READONLY_KEY", codes.PermissionDenied, barred},
			{"no credits", "authenta", "/api/v1/jobs", "Bearer $AUTHENTA_NOBALANCE_KEY", codes.FailedPrecondition, broke},
			{"a malformed path", "authenta", "/api/v1;x/jobs", "Bearer $AUTHENTA_API_KEY", codes.InvalidArgument, "The request is malformed"},
			{"an expired token", "artos", "/artos.v1.Documents/List", "Bearer $ARTOS_EXPIRED_TOKEN", codes.Unauthenticated, "Invalid authentication credentials"},
			{"another company", "datasets", "/api/v1/companies/org_other/datasets", "Bearer $DATASETS_TOKEN", codes.PermissionDenied, "You do not have permission to perform this action."},
		} {
			t.Run(c.says, func(t *testing.T) {
				got := g.call(t, c.api, c.method, "authorization", c.credential)
				if got.Code() != c.code || got.Message() != c.message {
					t.Errorf("got %s %q, want %s %q", got.Code(), got.Message(), c.code, c.message)
				}
			})
		}
		if got := g.call(t, "authenta", "/jobs.v1.Jobs/Create"); got.Code() != codes.Unauthenticated || got.Message() != failed {
			t.Errorf("without a key: %s %q", got.Code(), got.Message())
		}
		got := g.call(t, "artanis", "/api/prompts?projectSlug=no-such-project", "x-api-key", "$ARTANIS_API_KEY", "x-org-slug", "my-org")
		if got.Code() != codes.NotFound || got.Message() != "Resource does not exist" {
			t.Errorf("an unknown project: %s %q", got.Code(), got.Message())
		}
		// A good key reaches the upstream, which speaks no gRPC: not a word of Postern's.
		if got := g.call(t, "authenta", "/jobs.v1.Jobs/Create", "authorization", "Bearer $AUTHENTA_API_KEY"); got.Code() != codes.Unknown {
			t.Errorf("a good key: %s %q", got.Code(), got.Message())
		}
	})
}
