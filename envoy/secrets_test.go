package envoy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// secretList is what must be in no log; tests add to it at the same time.
type secretList struct {
	mutex  sync.Mutex
	values []string
}

func (l *secretList) add(values ...string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.values = append(l.values, values...)
}

// in are the secrets, shortened, that a text holds. A part of a secret counts: the
// signature of a token, or the half of a key.
func (l *secretList) in(text string) (found []string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, secret := range l.values {
		tail := secret[len(secret)/2:]
		if len(tail) < 12 {
			continue // it would be found by chance
		}
		if strings.Contains(text, tail) {
			found = append(found, secret[:8]+"…")
		}
	}
	return found
}

// isSecret tells the credentials among the variables from names and addresses.
func isSecret(name string) bool {
	return strings.Contains(name, "TOKEN") || strings.Contains(name, "KEY") || strings.Contains(name, "SESSION")
}

// leaks are the places where a secret is, of all that the system wrote for people.
func (s *system) leaks() (places []string) {
	texts := map[string]string{}
	names := []string{"postern.log", "envoy.log", filepath.Join("plain", "envoy.log"), filepath.Join("fast", "envoy.log")}
	if *over == "postgres" {
		names = append(names, "postern-2.log", "postern-3.log")
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(s.state, name))
		if err != nil {
			return append(places, err.Error())
		}
		texts[name] = string(text)
	}
	metrics, err := s.metrics()
	if err != nil {
		return append(places, err.Error())
	}
	texts["/metrics"] = metrics
	for name, text := range texts {
		if found := s.secrets.in(text); len(found) > 0 {
			places = append(places, fmt.Sprintf("%s: %v", name, found))
		}
	}
	return places
}

func (s *system) metrics() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.variables["POSTERN_ADMIN_URL"]+"/metrics", nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// Every credential is sent where it belongs and where it does not, also in the
// places that people paste it into by mistake. TestMain looks once more, after
// all tests.
func TestCredentialsAreInNoLogAndNoMetric(t *testing.T) {
	apis := []string{"artos", "datasets", "artanis", "arthur-platform", "arthur-engine", "authenta"}
	sent := 0
	for name, value := range world.variables {
		if !isSecret(name) {
			continue
		}
		for _, g := range world.gates {
			for _, api := range apis {
				if !strings.HasPrefix(name, strings.ToUpper(strings.ReplaceAll(api, "-", "_"))) && api != "arthur-engine" {
					continue
				}
				for _, h := range []string{"Authorization: Bearer ", "Authorization: ", "X-Api-Key: ", "Cookie: __session="} {
					g.send(t, api, "GET /api/v1/templates/?token="+value, h+value, "X-Org-Slug: my-org")
				}
				g.send(t, api, "GET /api/v1/templates/", "Authorization: Bearer "+value+"x")
				sent++
			}
		}
	}
	log, err := os.ReadFile(filepath.Join(world.state, "postern.log"))
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := world.metrics()
	if err != nil {
		t.Fatal(err)
	}
	if sent == 0 || !strings.Contains(string(log), `"path":"/api/v1/templates/"`) || !strings.Contains(metrics, `postern_checks_total{decision="deny",profile="artos",reason="expired"}`) {
		t.Error("the decision log or the metrics say nothing of these requests: the search would prove nothing")
	}
	if leaks := world.leaks(); len(leaks) > 0 {
		t.Errorf("credentials are in %v", leaks)
	}
}

func TestTheSearchForSecretsFindsThem(t *testing.T) {
	var l secretList
	l.add("api_0123456789abcdefghij")
	if len(l.in(`{"authorization":"Bearer api_0123456789abcdefghij"}`)) != 1 || len(l.in("789abcdefghij")) != 1 || len(l.in("api_0123…")) != 0 {
		t.Error("a secret in a text was not found, or one that is not there was")
	}
}
