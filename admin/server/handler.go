// Package server serves the management API: gRPC and its REST mirror on one
// listener, behind the administrator's key. It knows the wire and the use cases
// of package admin; it knows no store and no engine.
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"postern/admin"
	"postern/authz/identity"
)

// The bounds of one request.
const (
	maxBody     = 1 << 20
	maxDuration = 30 * time.Second
)

// MinAdminKey is the least length of an administrator's key, in bytes.
const MinAdminKey = 16

// Options are what a handler is made of. Service and AdminKey are required.
type Options struct {
	Service *admin.Service
	// AdminKey opens every call; at least MinAdminKey visible ASCII characters.
	AdminKey identity.Secret
	// Open are handlers that answer without the administrator's key, by path, or
	// by prefix where the pattern ends in a slash: metrics, health, the public
	// keys of the token issuer, and the profiles' key API, which authorizes its
	// requests itself. The longest match answers. Nothing is redirected.
	Open map[string]http.Handler
	// Logger gets the private causes of failures; nil: nothing is logged.
	Logger *slog.Logger
}

// NewHandler makes the handler of the management listener: gRPC (with server
// reflection), REST below /v1/, and the open handlers.
func NewHandler(o Options) (http.Handler, error) {
	if o.Service == nil {
		return nil, errors.New("management handler: a service is required")
	}
	if len(o.AdminKey.Reveal()) < MinAdminKey {
		return nil, errors.New("management handler: the admin key is missing or shorter than 16 characters; generate one, such as with: openssl rand -hex 32")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	services := newServices(o.Service, o.Logger)
	rest, err := newREST(services)
	if err != nil {
		return nil, err
	}
	return &handler{
		gate: newGate(o.AdminKey),
		open: o.Open,
		grpc: newGRPC(services, o.Logger),
		rest: rest,
		log:  o.Logger,
	}, nil
}

// NewHTTPServer makes a server for the handler that speaks HTTP/1.1 and HTTP/2
// in clear text (RFC 9113 § 3.3), as gRPC on a loopback listener asks for.
func NewHTTPServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       maxDuration,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

type handler struct {
	gate gate
	open map[string]http.Handler
	grpc http.Handler
	rest http.Handler
	log  *slog.Logger
}

// ServeHTTP lets the open handlers answer, then asks for the key, and only then
// tells which paths exist.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recovered(w, r)
	if open := h.opened(r.URL.Path); open != nil {
		open.ServeHTTP(w, r)
		return
	}
	isGRPC := strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
	if !h.gate.admits(r) {
		if isGRPC {
			writeGRPCError(w, codes.Unauthenticated, unauthenticated)
			return
		}
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeError(w, http.StatusUnauthorized, codes.Unauthenticated, unauthenticated)
		return
	}
	if isGRPC {
		h.grpc.ServeHTTP(w, r)
		return
	}
	if r.ContentLength > maxBody {
		writeError(w, http.StatusRequestEntityTooLarge, codes.InvalidArgument, "the body is larger than 1 MiB; send less")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxDuration)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	w.Header().Set("Cache-Control", "no-store") // answers may hold a new secret
	h.rest.ServeHTTP(w, r)
}

// opened finds the open handler of a path: its own, or the longest prefix's.
func (h *handler) opened(path string) http.Handler {
	if exact, ok := h.open[path]; ok {
		return exact
	}
	for end := strings.LastIndexByte(path, '/'); end >= 0; end = strings.LastIndexByte(path[:end], '/') {
		if prefix, ok := h.open[path[:end+1]]; ok {
			return prefix
		}
	}
	return nil
}

// recovered turns a panic into an answer; what panicked goes to the log only.
func (h *handler) recovered(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	h.log.ErrorContext(r.Context(), "recovered from a panic in the management API", "panic", cause, "stack", string(debug.Stack()))
	writeError(w, http.StatusInternalServerError, codes.Internal, internal)
}
