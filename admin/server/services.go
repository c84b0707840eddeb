package server

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"postern/admin"
	"postern/store"

	adminv1 "postern/proto/postern/admin/v1"
)

// actor is who makes every change of this API: whoever has the key.
const actor store.Actor = "admin_key"

// services are the gRPC services, over one set of use cases.
type services struct {
	organizations *organizations
	users         *users
	keys          *keys
	tokens        *tokens
	resources     *resources
	credits       *credits
	audit         *audit
	replicas      *replicas
	decisions     *decisions
}

func newServices(s *admin.Service, log *slog.Logger) services {
	f := failures{log: log}
	return services{
		organizations: &organizations{service: s, failures: f},
		users:         &users{service: s, failures: f},
		keys:          &keys{service: s, failures: f},
		tokens:        &tokens{service: s, failures: f},
		resources:     &resources{service: s, failures: f},
		credits:       &credits{service: s, failures: f},
		audit:         &audit{service: s, failures: f},
		replicas:      &replicas{service: s, failures: f},
		decisions:     &decisions{service: s, failures: f},
	}
}

func newGRPC(s services, log *slog.Logger) *grpc.Server {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxBody),
		grpc.UnaryInterceptor(recoverUnary(log)),
		grpc.StreamInterceptor(recoverStream(log)),
	)
	adminv1.RegisterOrganizationServiceServer(server, s.organizations)
	adminv1.RegisterUserServiceServer(server, s.users)
	adminv1.RegisterKeyServiceServer(server, s.keys)
	adminv1.RegisterTokenServiceServer(server, s.tokens)
	adminv1.RegisterResourceServiceServer(server, s.resources)
	adminv1.RegisterCreditServiceServer(server, s.credits)
	adminv1.RegisterAuditServiceServer(server, s.audit)
	adminv1.RegisterReplicaServiceServer(server, s.replicas)
	adminv1.RegisterDecisionServiceServer(server, s.decisions)
	reflection.Register(server)
	return server
}

// newREST mirrors the services in process. An unknown field is an error: a
// misspelled one would otherwise be left out in silence.
func newREST(s services) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		}),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithRoutingErrorHandler(misrouted),
	)
	ctx := context.Background()
	for _, err := range []error{
		adminv1.RegisterOrganizationServiceHandlerServer(ctx, mux, s.organizations),
		adminv1.RegisterUserServiceHandlerServer(ctx, mux, s.users),
		adminv1.RegisterKeyServiceHandlerServer(ctx, mux, s.keys),
		adminv1.RegisterTokenServiceHandlerServer(ctx, mux, s.tokens),
		adminv1.RegisterResourceServiceHandlerServer(ctx, mux, s.resources),
		adminv1.RegisterCreditServiceHandlerServer(ctx, mux, s.credits),
		adminv1.RegisterAuditServiceHandlerServer(ctx, mux, s.audit),
		adminv1.RegisterReplicaServiceHandlerServer(ctx, mux, s.replicas),
		adminv1.RegisterDecisionServiceHandlerServer(ctx, mux, s.decisions),
	} {
		if err != nil {
			return nil, err
		}
	}
	return mux, nil
}

// misrouted answers what no rpc is behind.
func misrouted(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, httpStatus int) {
	switch httpStatus {
	case http.StatusNotFound:
		writeError(w, httpStatus, codes.NotFound, "there is nothing at this path")
	case http.StatusMethodNotAllowed:
		writeError(w, httpStatus, codes.Unimplemented, "this path has no such method")
	default:
		writeError(w, http.StatusBadRequest, codes.InvalidArgument, "the path is malformed")
	}
}

func recoverUnary(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (response any, err error) {
		defer recoverCall(ctx, log, info.FullMethod, &err)
		return next(ctx, request)
	}
}

func recoverStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
		defer recoverCall(stream.Context(), log, info.FullMethod, &err)
		return next(server, stream)
	}
}

func recoverCall(ctx context.Context, log *slog.Logger, method string, err *error) {
	if cause := recover(); cause != nil {
		log.ErrorContext(ctx, "recovered from a panic in the management API", "method", method, "panic", cause, "stack", string(debug.Stack()))
		*err = status.Error(codes.Internal, internal)
	}
}
