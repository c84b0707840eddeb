package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/authz/identity"
	"postern/cache/redis"
	"postern/internal/testenv"
)

// certify writes a certificate for 127.0.0.1 that signs itself, and its key.
func certify(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "CERTIFICATE", signed), writePEM(t, "PRIVATE KEY", encoded)
}

func writePEM(t *testing.T, kind string, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLSTrustsTheNamedAuthoritiesAndNobodyElse(t *testing.T) {
	certificate, key := certify(t)
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	startRedis(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
	url := fmt.Sprintf("rediss://127.0.0.1:%d", port)

	c := open(t, url+"?ca="+certificate)
	put(t, c, "k", 1, "v")
	expect(t, c, "k", "v")

	other, _ := certify(t)
	for what, url := range map[string]string{
		"the system's authorities": url,
		"another authority":        url + "?ca=" + other,
		"another host name":        fmt.Sprintf("rediss://localhost:%d?ca=%s", port, certificate),
		"no TLS":                   fmt.Sprintf("redis://127.0.0.1:%d", port),
	} {
		if _, found, err := open(t, url).Get(t.Context(), "k"); err == nil || found {
			t.Errorf("with %s: found %v", what, found)
		} else {
			t.Logf("with %s: %v", what, err)
		}
	}
}

func TestAnAuthorityThatCannotBeReadIsRefusedAtTheStart(t *testing.T) {
	_, key := certify(t)
	for what, file := range map[string]string{"no file": filepath.Join(t.TempDir(), "none.pem"), "a key": key} {
		if _, err := redis.New(redis.Options{URL: identity.NewSecret("rediss://cache?ca=" + file)}); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}
