package upstream_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"testing"

	"postern/internal/demo/upstream"
)

// send writes the raw request, so that no client cleans it first.
func send(t *testing.T, method, target, header string) upstream.Received {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := upstream.NewServer()
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: api.example\r\n%s\r\n", method, target, header)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d %v", response.StatusCode, response.Header)
	}
	var received upstream.Received
	if err := json.NewDecoder(response.Body).Decode(&received); err != nil {
		t.Fatal(err)
	}
	return received
}

func TestUpstreamTellsWhatItReallyReceived(t *testing.T) {
	have := send(t, "DELETE", "/a//b/../%2e/c?x=%zz&y=<1>", "X-Org-Id: one\r\nx-org-id: two\r\nx_org_id: three\r\n")
	want := upstream.Received{
		Method: "DELETE", Path: "/a//b/../%2e/c", Query: "x=%zz&y=<1>",
		Headers: map[string][]string{"host": {"api.example"}, "x-org-id": {"one", "two"}, "x_org_id": {"three"}},
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("got  %+v\nwant %+v", have, want)
	}
}

func TestEveryPathAnswers(t *testing.T) {
	for _, path := range []string{"/", "/health", "/api/v1/search/status"} {
		if have := send(t, "GET", path, ""); have.Path != path || have.Query != "" {
			t.Errorf("%s: got %+v", path, have)
		}
	}
}
