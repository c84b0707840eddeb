package ctl

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const defaultAddress = "http://127.0.0.1:9002"

// endpoint is where the management API is.
type endpoint struct {
	target string // host:port
	tls    bool
}

// parseEndpoint reads the API's URL.
func parseEndpoint(address string) (endpoint, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return endpoint{}, usage("--address: it is not a URL; use the form %s", defaultAddress)
	case u.User != nil:
		return endpoint{}, usage("--address: it holds a user; leave that out")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return endpoint{}, usage("--address: it holds a path or more; end it after host and port")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return endpoint{target: net.JoinHostPort(u.Hostname(), port), tls: u.Scheme == "https"}, nil
}

// loopback reports a host that no other machine can answer for.
func (e endpoint) loopback() bool {
	host, _, err := net.SplitHostPort(e.target)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// dial prepares the connection; nothing is sent yet.
func (a *app) dial() (*grpc.ClientConn, error) {
	if a.address == "" {
		a.address = a.Getenv("POSTERN_ADMIN_URL")
	}
	if a.address == "" {
		a.address = defaultAddress
	}
	at, err := parseEndpoint(a.address)
	if err != nil {
		return nil, err
	}
	if !at.tls && !at.loopback() && !a.insecure {
		return nil, usage("--address: %s would get the key in clear text; use https://, or --insecure on a network that you trust", a.address)
	}
	key, err := a.adminKey()
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{grpc.WithUnaryInterceptor(withKey(key))}
	if at.tls {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})))
	} else {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	}
	return grpc.NewClient("dns:///"+at.target, options...)
}

func (a *app) adminKey() (string, error) {
	key, from := a.Getenv("POSTERN_ADMIN_KEY"), "POSTERN_ADMIN_KEY"
	if a.keyFile != "" {
		text, err := os.ReadFile(a.keyFile)
		if err != nil {
			return "", usage("--admin-key-file: %v", err)
		}
		key, from = string(text), "--admin-key-file"
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return "", usage("%s: the administrator's key is missing; set POSTERN_ADMIN_KEY, or name a file with --admin-key-file", from)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return "", usage("%s: the administrator's key has a character that is not visible ASCII; look at where it comes from", from)
	}
	return key, nil
}

func withKey(key string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, request, response any, conn *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
		return next(ctx, method, request, response, conn, options...)
	}
}

// explain says what went wrong and what to do about it.
func (a *app) explain(err error) string {
	answer, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	message := clean(answer.Message(), true)
	switch answer.Code() {
	case codes.Unauthenticated:
		return fmt.Sprintf("%s refuses the administrator's key; look at POSTERN_ADMIN_KEY or --admin-key-file", a.address)
	case codes.DeadlineExceeded:
		return fmt.Sprintf("%s gave no answer within %s; try again, or give more time with --timeout", a.address, a.timeout)
	case codes.Unavailable:
		return fmt.Sprintf("%s: %s; is the server running, and is --address right?", a.address, message)
	case codes.Unimplemented:
		return fmt.Sprintf("%s does not know this call; is it a management API, and as new as posternctl?", a.address)
	}
	return message
}
