package viaenvoy

import (
	"fmt"
	"strings"
	"testing"

	"postern/internal/testenv"
)

func TestGuardedFrontIsTheReferenceWithAnAnswerOfItsOwn(t *testing.T) {
	text := testenv.File(t, "envoy", "fast.yaml")
	l, c, err := guarded(text, "authenta", "here", 12345, "unix:///x/check.sock")
	if err != nil {
		t.Fatal(err)
	}
	listener, cluster := fmt.Sprint(l), fmt.Sprint(c)
	for _, part := range []string{"allowed_headers", "remove_on_match", "port_value:12345", "direct_response", "cluster_name:here", "profile:authenta", "headers_with_underscores_action"} {
		if !strings.Contains(listener, part) {
			t.Errorf("the listener lacks %s:\n%s", part, listener)
		}
	}
	for _, part := range []string{"postern_check", "StdoutAccessLog", "cluster:upstream"} {
		if strings.Contains(listener, part) {
			t.Errorf("the listener has %s:\n%s", part, listener)
		}
	}
	if !strings.Contains(cluster, "/x/check.sock") || strings.Contains(cluster, "postern_check") || !strings.Contains(cluster, "grpc_health_check") {
		t.Errorf("the cluster is\n%s", cluster)
	}
	if _, _, err := guarded(text, "nobody", "here", 1, "127.0.0.1:2"); err == nil {
		t.Error("a listener that is not there was found")
	}
	if _, _, err := guarded(text, "authenta", "here", 1, "10.0.0.1:2"); err == nil {
		t.Error("an address of another machine was taken")
	}
}
