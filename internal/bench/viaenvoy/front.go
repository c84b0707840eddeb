package viaenvoy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The fronts, as a table names them.
const (
	noAuth  = "no auth"
	apiKey  = "api_key_auth"
	jwt     = "jwt_authn"
	stock   = Stock
	postern = Postern

	tcp  = "tcp"
	unix = "unix"
)

// front is one way to guard an API, at a port of an Envoy.
type front struct {
	name, transport string
	concurrency     int
	url             string
	credential      string // the value of Authorization
	authenticates   bool

	envoyPID, serverPID int // 0: there is no server
}

func (f *front) title() string {
	return fmt.Sprintf("%s, %d", strings.TrimSpace(f.name+" "+f.transport), f.concurrency)
}

// client are the headers of a browser's request to an API, some 1.2 KB.
func client() []string {
	return []string{
		"user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"accept: application/json, text/plain, */*",
		"accept-language: en-US,en;q=0.9,de;q=0.8,fr;q=0.7",
		"accept-encoding: gzip, deflate, br, zstd",
		"content-type: application/json",
		"origin: https://app.example.com",
		"referer: https://app.example.com/projects/42/overview?tab=activity&sort=recent",
		"cookie: theme=dark; _ga=GA1.2.1234567890.1712345678; csrftoken=Zk3vXq0dJq4oS8W5bnU1yTzqkq2mJ8sL; device=2f0d1c7a-3a54-4f0e-9a53-1d6f0c7b8e21",
		`sec-ch-ua: "Chromium";v="126", "Not-A.Brand";v="24", "Google Chrome";v="126"`,
		"sec-ch-ua-mobile: ?0",
		`sec-ch-ua-platform: "Linux"`,
		"sec-fetch-site: same-site",
		"sec-fetch-mode: cors",
		"sec-fetch-dest: empty",
		"cache-control: no-cache",
		"pragma: no-cache",
		"priority: u=1, i",
		"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"x-client-version: 4.18.2+build.20261104",
		"x-correlation-id: 9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
	}
}

func (f *front) headers() []string { return append(client(), "authorization: "+f.credential) }

// verify sees that the credential opens the front, waiting until Envoy has found its
// server, and that without one it is shut where it authenticates at all.
func (f *front) verify(ctx context.Context) error {
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		status, err := f.ask(ctx, f.headers())
		if err == nil && status == http.StatusOK {
			break
		}
		if ctx.Err() != nil || time.Since(began) > 10*time.Second {
			return fmt.Errorf("%s: with the credential it answers %d (%w); see the logs", f.title(), status, err)
		}
	}
	want := http.StatusOK
	if f.authenticates {
		want = http.StatusUnauthorized
	}
	if status, err := f.ask(ctx, client()); err != nil || status != want {
		return fmt.Errorf("%s: without a credential it answers %d, want %d (%w)", f.title(), status, want, err)
	}
	if !f.authenticates {
		return nil
	}
	if status, err := f.ask(ctx, append(client(), "authorization: Bearer wrong")); err != nil || status != want {
		return fmt.Errorf("%s: with a wrong credential it answers %d, want %d (%w)", f.title(), status, want, err)
	}
	return nil
}

func (f *front) ask(ctx context.Context, headers []string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return 0, err
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
