package config

import (
	"strings"
	"testing"
	"time"
)

func TestCacheURLIsTakenFromEveryPlaceASecretMayBe(t *testing.T) {
	const url = "rediss+cluster://postern:hunter2@a:6379,b:6379?ca=/etc/ca.pem"
	for name, vars := range map[string]map[string]string{
		"the variable":        {"POSTERN_CACHE_URL": url},
		"the variable's file": {"POSTERN_CACHE_URL_FILE": writeFile(t, "cache.url", url+"\n")},
		"the configuration":   {"POSTERN_CONFIG": writeFile(t, "postern.yaml", "cache: {url: '"+url+"', timeout: 20ms}")},
	} {
		cfg, err := Load(nil, environment(vars))
		if err != nil || cfg.Cache.URL.Reveal() != url {
			t.Errorf("%s: got %d characters, %v", name, len(cfg.Cache.URL.Reveal()), err)
		}
	}
	cfg, err := Load(nil, environment(map[string]string{"POSTERN_CACHE_URL": ""}))
	if err != nil || !cfg.Cache.URL.IsZero() || cfg.Cache.Timeout != 50*time.Millisecond {
		t.Errorf("none: %+v, %v", cfg.Cache, err)
	}
}

func TestCacheURLThatNamesNoCacheIsRefusedWithoutBeingShown(t *testing.T) {
	for _, url := range []string{"hunter2@cache", "memcached://:hunter2@cache", "redis://:hunter2@", "redis://:hunter2@a,b", "redis+sentinel://:hunter2@a"} {
		_, err := Load(nil, environment(map[string]string{"POSTERN_CACHE_URL": url}))
		if err == nil || !strings.Contains(err.Error(), "POSTERN_CACHE_URL: cache.url ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestCacheTimeoutIsBounded(t *testing.T) {
	for _, text := range []string{"0", "999us", "1001ms"} {
		if _, err := Load([]string{"--cache-timeout=" + text}, environment(nil)); err == nil || !strings.Contains(err.Error(), "cache.timeout") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
