package rig

import (
	"encoding/binary"
	"fmt"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Method is the path of the gRPC method.
const Method = authv3.Authorization_Check_FullMethodName

// Request is one request of a client, as far as the benchmarks tell them apart.
type Request struct {
	ID      string      // Envoy's
	Profile string      // by the route's context extension; empty: none
	Method  string      // GET if empty
	Path    string      // with the query
	Headers [][2]string // beside those that every client sends
}

// Message is the request as the reference configuration of Envoy sends it: with raw
// headers, in their order, and both addresses.
func (r Request) Message() *authv3.CheckRequest {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.ID == "" {
		r.ID = "8311748116208493217"
	}
	headers := &corev3.HeaderMap{}
	for _, h := range append(r.browser(), r.Headers...) {
		headers.Headers = append(headers.Headers, &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])})
	}
	attributes := &authv3.AttributeContext{
		Source:      peer("203.0.113.7", 51514),
		Destination: peer("198.51.100.20", 443),
		Request: &authv3.AttributeContext_Request{
			Time: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)),
			Http: &authv3.AttributeContext_HttpRequest{
				Id: r.ID, Method: r.Method, HeaderMap: headers, Path: r.Path, Host: host,
				Scheme: "https", Protocol: "HTTP/2", Size: -1,
			},
		},
		MetadataContext:      &corev3.Metadata{},
		RouteMetadataContext: &corev3.Metadata{},
	}
	if r.Profile != "" {
		attributes.ContextExtensions = map[string]string{"profile": r.Profile}
	}
	return &authv3.CheckRequest{Attributes: attributes}
}

// host is nobody's in a profile, so that only the context extension names one.
const host = "api.bench.example"

// browser are the headers of a client that Envoy passes on, pseudo-headers and its
// own included.
func (r Request) browser() [][2]string {
	return [][2]string{
		{":authority", host},
		{":path", r.Path},
		{":method", r.Method},
		{":scheme", "https"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		{"accept", "application/json, text/plain, */*"},
		{"accept-encoding", "gzip, deflate, br, zstd"},
		{"accept-language", "en-GB,en;q=0.9,de;q=0.8"},
		{"cookie", "_ga=GA1.1.1873920471.1754899200; _ga_5QX7Z2K1PN=GS2.1.s1756112345$o17$g1$t1756112399$j6$l0$h0; " +
			"ajs_anonymous_id=0b6f3a5e-7c1d-4c58-9a36-2f1d0e8b7a64; intercom-device-id-k2=3f6d5c8b-41aa-4f0e-8d2b-77b0a1c9e5d3; " +
			"locale=en-GB; theme=dark; cookie_consent=functional%2Canalytics; last_project=4711"},
		{"origin", "https://console.bench.example"},
		{"referer", "https://console.bench.example/projects/4711/overview"},
		{"sec-ch-ua", `"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"`},
		{"sec-ch-ua-mobile", "?0"},
		{"sec-ch-ua-platform", `"Linux"`},
		{"sec-fetch-dest", "empty"},
		{"sec-fetch-mode", "cors"},
		{"sec-fetch-site", "same-site"},
		{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		{"x-forwarded-for", "203.0.113.7"},
		{"x-forwarded-proto", "https"},
		{"x-request-id", "5d1f0c0e-6a43-4b7c-9d7e-0f5b1a2c3d4e"},
	}
}

func peer(address string, port uint32) *authv3.AttributeContext_Peer {
	return &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
		SocketAddress: &corev3.SocketAddress{Address: address, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}},
	}}}
}

// Frame is the message as it stands in a gRPC stream: not compressed, its length in
// four bytes, and then itself.
func (r Request) Frame() ([]byte, error) {
	message, err := proto.Marshal(r.Message())
	if err != nil {
		return nil, fmt.Errorf("render a request: %w", err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...), nil
}
