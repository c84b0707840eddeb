package drill_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"postern/internal/demo"
	"postern/internal/demo/upstream"
	"postern/internal/testenv"
)

// The ports of authenta and of the upstream in the reference configuration.
const (
	authentaPort = 10006
	upstreamPort = 9003
)

func TestNoRequestFailsWhileEveryReplicaIsRestartedBehindEnvoy(t *testing.T) {
	redis := startRedis(t)
	f := startFleet(t, setup{
		replicas: 3, store: rig.postgres.URL(database(t)), cache: redis.URL(), beside: demo.Ports(),
	})
	startEnvoy(t, f)
	k, err := f.create()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	var took []time.Duration
	failures := map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	var load sync.WaitGroup
	load.Go(func() {
		pace(ctx, rate, func() func() {
			return func() {
				began := time.Now()
				what := get(client, fmt.Sprintf("http://127.0.0.1:%d/api/v1/jobs", authentaPort+f.offset), k.secret)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(began))
				if what != "" {
					failures[what]++
				}
			}
		})
	})
	pause := either(200*time.Millisecond, 2*time.Second)
	for range either(1, 5) {
		for _, r := range f.replicas {
			time.Sleep(pause)
			r.stop()
			r.start()
		}
	}
	time.Sleep(pause)
	cancel()
	load.Wait()
	failed := 0
	for what, times := range failures {
		failed += times
		t.Errorf("%d requests failed: %s", times, what)
	}
	t.Logf("%d requests, %d failed; p50 %v p99 %v max %v", len(took), failed, percentile(took, 50), percentile(took, 99), percentile(took, 100))
}

// startEnvoy runs the reference configuration with every replica as an endpoint,
// in front of the example upstream.
func startEnvoy(t *testing.T, f *fleet) {
	t.Helper()
	config := testenv.File(t, "envoy", "envoy.yaml")
	var err error
	for _, port := range []int{checkPort, adminPort} {
		var further []int
		for i := 1; i < len(f.replicas); i++ {
			further = append(further, port+i*portStep)
		}
		if config, err = demo.AddEndpoints(config, port, further...); err != nil {
			t.Fatal(err)
		}
	}
	if config, err = demo.ShiftPorts(config, f.offset); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", upstreamPort+f.offset))
	if err != nil {
		t.Fatal(err)
	}
	server := upstream.NewServer()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	testenv.RunEnvoy(t, config)
}

// get says what went wrong; nothing where the request was allowed.
func get(client *http.Client, url, secret string) string {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err.Error()
	case response.StatusCode != http.StatusOK:
		return fmt.Sprintf("%d %s", response.StatusCode, body)
	}
	return ""
}
