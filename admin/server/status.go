package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"postern/admin"
)

const internal = "an internal error happened; see the server's log"

// failures turns errors of the use cases into gRPC statuses (google.rpc.Status),
// which grpc-gateway turns into HTTP. Private causes go to the log.
type failures struct{ log *slog.Logger }

func (f failures) status(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the request was cancelled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the request took too long; try again")
	}
	refused, ok := errors.AsType[*admin.Error](err)
	if !ok {
		f.log.ErrorContext(ctx, "a management call failed", "error", err)
		return status.Error(codes.Internal, internal)
	}
	if cause := errors.Unwrap(refused); cause != nil {
		f.log.ErrorContext(ctx, "a management call failed", "error", cause)
	}
	answer := status.New(code(refused.Code), refused.Error())
	if len(refused.Violations) > 0 {
		detail := &errdetails.BadRequest{}
		for _, v := range refused.Violations {
			detail.FieldViolations = append(detail.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Field, Description: v.Problem + "; " + v.Remedy,
			})
		}
		if detailed, err := answer.WithDetails(detail); err == nil {
			answer = detailed
		}
	}
	return answer.Err()
}

func code(c admin.Code) codes.Code {
	switch c {
	case admin.Invalid:
		return codes.InvalidArgument
	case admin.NotFound:
		return codes.NotFound
	case admin.Exists:
		return codes.AlreadyExists
	case admin.Precondition:
		return codes.FailedPrecondition
	case admin.LimitReached:
		return codes.ResourceExhausted
	case admin.Unavailable:
		return codes.Unavailable
	}
	return codes.Internal
}

// writeError answers a REST call in the form of google.rpc.Status.
func writeError(w http.ResponseWriter, httpStatus int, c codes.Code, message string) {
	body, err := json.Marshal(struct {
		Code    codes.Code `json:"code"`
		Message string     `json:"message"`
		Details []any      `json:"details"`
	}{c, message, []any{}})
	if err != nil { // a string and a number always marshal
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(httpStatus)
	_, _ = w.Write(body) // a client that is gone is no concern of ours
}

// writeGRPCError answers a gRPC call before it reaches the gRPC server, as a
// response that consists of headers only.
func writeGRPCError(w http.ResponseWriter, c codes.Code, message string) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(int(c)))
	w.Header().Set("Grpc-Message", url.PathEscape(message))
	w.WriteHeader(http.StatusOK)
}
