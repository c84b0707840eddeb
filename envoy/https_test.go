package envoy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// certificate is one for loopback, and its key.
func certificate(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	private := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// withTLS makes the hardened listener of artos one for HTTPS.
func withTLS(t *testing.T, config string, certPEM, keyPEM []byte) string {
	t.Helper()
	const chain = "        - name: artos\n          filters:\n"
	socket := fmt.Sprintf(`          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context: { tls_certificates: [{ certificate_chain: { inline_string: %q }, private_key: { inline_string: %q } }] }
`, certPEM, keyPEM)
	if !strings.Contains(config, chain) {
		t.Fatal("the listener of artos is not where it was")
	}
	return strings.Replace(config, chain, "        - name: artos\n"+socket+"          filters:\n", 1)
}

// The preset of artos asks for HTTPS. The generic listener stays one for HTTP, the
// one of artos gets a certificate.
func TestHTTPSCannotBeClaimedAndIsRecognizedWhereItIs(t *testing.T) {
	t.Parallel()
	certPEM, keyPEM := certificate(t)
	s := startSmall(t, func(config string) string { return withTLS(t, config, certPEM, keyPEM) }, "artos", "authenta")
	hardened, plain := s.gates[0], s.gates[1]
	const body = `{"detail":"HTTPS is required"}`
	for says, headers := range map[string][]string{
		"nothing claimed":          nil,
		"claimed":                  {"X-Forwarded-Proto: https"},
		"claimed twice":            {"X-Forwarded-Proto: https", "x-forwarded-proto: https"},
		"claimed with a hop":       {"X-Forwarded-Proto: https", "X-Forwarded-For: 10.0.0.1, 10.0.0.2"},
		"claimed by Forwarded":     {"Forwarded: for=10.0.0.1;proto=https"},
		"claimed by other headers": {"X-Forwarded-Scheme: https", "X-Scheme: https", "Front-End-Https: on", "X-Forwarded-Ssl: on", "X-Url-Scheme: https"},
		"claimed in dots":          {"x.forwarded.proto: https"},
	} {
		t.Run(says, func(t *testing.T) {
			headers = append(headers, "Host: api.artosai.com")
			for _, line := range []string{"GET /api/v1/search/status", "GET /api/v1/templates/", "OPTIONS /api/v1/templates/"} {
				hardened.send(t, "generic", line, headers...).denied(t, 403, body)
			}
			hardened.send(t, "generic", "GET https://api.artosai.com/api/v1/search/status", headers...).refused(t)
		})
	}
	rawHTTP2(t, hardened.address("generic"), fields{
		{":method", "GET"}, {":scheme", "https"}, {":authority", "api.artosai.com"}, {":path", "/api/v1/search/status"}, {"x-forwarded-proto", "https"},
	}).denied(t, 403, body)
	// Envoy as it comes believes a client's x-forwarded-proto; without one it says http.
	plain.send(t, "artos", "GET /api/v1/search/status").denied(t, 403, body)

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	for path, want := range map[string]int{"/api/v1/search/status": 200, "/api/v1/templates/": 401} {
		request := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+hardened.address("artos")+path, nil))
		request.Header.Set("X-Forwarded-Proto", "http") // a client can claim this as little
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("by HTTPS: %d %s, want %d", response.StatusCode, text, want)
		}
	}
	// Another profile of the same server asks for no HTTPS.
	hardened.send(t, "authenta", "GET /health").allowed(t)
}
