package config

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"postern/authz/identity"
	"postern/cache/redis"
)

// check looks at what the tags cannot say.
func (l *loader) check() {
	if _, err := ParseStoreURL(l.cfg.Store.URL); err != nil {
		l.reportValue("store.url", err)
	}
	if _, _, err := ParseListen(l.cfg.Check.Listen); err != nil {
		l.reportValue("check.listen", err)
	}
	if _, _, err := ParseListen(l.cfg.Admin.Listen); err != nil {
		l.reportValue("admin.listen", err)
	}
	if l.cfg.Check.Listen == l.cfg.Admin.Listen && !strings.HasSuffix(l.cfg.Check.Listen, ":0") {
		l.reportValue("admin.listen", fmt.Errorf("is %q, the same as check.listen; use another port", l.cfg.Admin.Listen))
	}
	if l.cfg.Issuer == "" {
		l.reportValue("issuer", fmt.Errorf("is empty; write the https URL that names this server in its tokens"))
	}
	if !l.cfg.Cache.URL.IsZero() {
		if err := redis.CheckURL(l.cfg.Cache.URL); err != nil {
			l.reportValue("cache.url", err)
		}
	}
	if l.cfg.Cache.NegativeTTL > l.cfg.Cache.TTL {
		l.reportValue("cache.negative_ttl", fmt.Errorf("is %s, longer than cache.ttl %s; use at most that", l.cfg.Cache.NegativeTTL, l.cfg.Cache.TTL))
	}
}

func (l *loader) reportValue(path string, err error) {
	source := l.origin[path]
	if source == "" {
		source = "default"
	}
	l.report(path, source, err.Error())
}

// The engines that a store's address can name.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// StoreURL is a store's address in parts.
type StoreURL struct {
	Engine string // SQLite or Postgres
	Path   string // of SQLite's file; relative to the working directory unless it begins with /
	// URL is PostgreSQL's, whole; it may hold a password.
	URL identity.Secret
}

// ParseStoreURL reads a store's address: sqlite:///absolute/path,
// sqlite:relative/path, or postgres://… as libpq takes it. The error has no
// subject: it follows the field's name. It does not repeat the address, which may
// hold a password, also where it is misspelt.
func ParseStoreURL(text string) (StoreURL, error) {
	const remedy = "use sqlite:///absolute/path/postern.db, sqlite:relative/postern.db or postgres://user@host/database"
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		return StoreURL{Engine: Postgres, URL: identity.NewSecret(text)}, nil
	}
	rest, ok := strings.CutPrefix(text, "sqlite:")
	if !ok {
		return StoreURL{}, fmt.Errorf("names no engine that this server has; %s", remedy)
	}
	if authority, ok := strings.CutPrefix(rest, "//"); ok {
		if !strings.HasPrefix(authority, "/") {
			return StoreURL{}, fmt.Errorf("names a host, and sqlite has none; %s", remedy)
		}
		rest = authority
	}
	if strings.ContainsAny(rest, "?#") || strings.HasPrefix(rest, ":") {
		return StoreURL{}, fmt.Errorf("has options, or names a store in memory, and neither is supported; %s", remedy)
	}
	if rest == "" || strings.HasSuffix(rest, "/") {
		return StoreURL{}, fmt.Errorf("names no file; %s", remedy)
	}
	return StoreURL{Engine: SQLite, Path: filepath.Clean(rest)}, nil
}

// ParseListen reads an address to listen on, host:port or unix:///path, into the
// arguments of net.Listen. The error has no subject: it follows the field's name.
func ParseListen(text string) (network, address string, err error) {
	const remedy = "use host:port, such as 127.0.0.1:9001, or unix:///absolute/path"
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if !filepath.IsAbs(path) {
			return "", "", fmt.Errorf("is %q, which is no absolute path; %s", text, remedy)
		}
		return "unix", path, nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", "", fmt.Errorf("is %q, which is no address; %s", text, remedy)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", fmt.Errorf("is %q, whose port is not a number up to 65535; %s", text, remedy)
	}
	return "tcp", text, nil
}
