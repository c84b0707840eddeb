// Package upstream is the example service behind Envoy. It has no authentication
// of its own and answers with what it received, so that anyone can see what
// Postern lets through, adds and takes away.
package upstream

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// Received is what the upstream saw of a request.
type Received struct {
	Method  string              `json:"method"`
	Path    string              `json:"path"`  // as received: nothing decoded, nothing cleaned
	Query   string              `json:"query"` // without the question mark
	Headers map[string][]string `json:"headers"`
}

// NewServer makes the service. Every path answers.
func NewServer() *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(answer), // not a ServeMux, which would clean and redirect paths
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	received := Received{Method: r.Method, Path: path, Query: query, Headers: map[string][]string{"host": {r.Host}}}
	for name, values := range r.Header {
		received.Headers[strings.ToLower(name)] = values
	}
	_, _ = io.Copy(io.Discard, r.Body) // so that the connection can be used again
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(received) // the client is gone: nothing to be done
}
