package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"postern/authz/identity"
)

// kind is how the servers behind an address work together.
type kind int

const (
	single kind = iota
	cluster
	sentinel
)

// address is a URL in parts.
type address struct {
	kind             kind
	tls              bool
	socket           string // of a server on this machine, instead of hosts
	hosts            []string
	user, password   string
	sentinelUser     string
	sentinelPassword string
	master           string // the name that the sentinels know
	database         int
	authorities      string // a PEM file; empty trusts what the system trusts
}

// The remedy is all that an error shows: the text may hold a password.
const remedy = "use redis://user:password@host:6379/0, unix:///run/redis.sock, redis+cluster://host:6379,host:6379 or redis+sentinel://host:26379,host:26379/master; rediss instead of redis is TLS"

// CheckURL says what is wrong with an address, without repeating any of it. The
// error has no subject: it follows the field's name.
func CheckURL(text identity.Secret) error {
	_, err := parse(text.Reveal())
	return err
}

// parse reads an address. Several hosts are separated by commas, which a URL does
// not know, so they are taken out before the rest is read as one.
func parse(text string) (address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return address{}, errors.New("is no URL; " + remedy)
	}
	var a address
	switch scheme {
	case "redis", "rediss", "unix":
	case "redis+cluster", "rediss+cluster":
		a.kind = cluster
	case "redis+sentinel", "rediss+sentinel":
		a.kind = sentinel
	default:
		return address{}, errors.New("has a scheme that is not known; " + remedy)
	}
	a.tls = strings.HasPrefix(scheme, "rediss")

	authority, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, tail = rest[:end], rest[end:]
	}
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, hosts = authority[:at+1], authority[at+1:]
	}
	u, err := url.Parse("redis://" + user + "host" + tail)
	if err != nil || u.Fragment != "" {
		return address{}, errors.New("is no URL (percent-encode what is special in a user name or a password); " + remedy)
	}
	a.user = u.User.Username()
	a.password, _ = u.User.Password()
	if err := a.readHosts(scheme, hosts); err != nil {
		return address{}, err
	}
	if err := a.readPath(scheme, u.Path); err != nil {
		return address{}, err
	}
	return a, a.readQuery(u.Query())
}

func (a *address) readHosts(scheme, hosts string) error {
	if scheme == "unix" {
		if hosts != "" {
			return errors.New("names a host and a socket; write unix:// and an absolute path")
		}
		return nil
	}
	port := "6379"
	if a.kind == sentinel {
		port = "26379"
	}
	for _, host := range strings.Split(hosts, ",") {
		name, own, err := net.SplitHostPort(host)
		if err != nil { // without a port
			name, own = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
			if strings.Contains(name, ":") && !strings.HasPrefix(host, "[") {
				return errors.New("has a host that is none; write [::1]:6379 for an IPv6 address")
			}
		}
		if number, err := strconv.ParseUint(own, 10, 16); err != nil || number == 0 {
			return errors.New("has a port that is not a number from 1 to 65535")
		}
		if name == "" || strings.ContainsAny(name, "[]@ ") {
			return errors.New("names no host; " + remedy)
		}
		a.hosts = append(a.hosts, net.JoinHostPort(name, own))
	}
	if a.kind == single && len(a.hosts) > 1 {
		return errors.New("has several hosts; say with redis+cluster:// or redis+sentinel:// how they work together")
	}
	return nil
}

func (a *address) readPath(scheme, path string) error {
	if scheme == "unix" {
		if a.socket = filepath.Clean(path); path == "" || strings.HasSuffix(path, "/") {
			return errors.New("names no socket; write unix:// and an absolute path")
		}
		return nil
	}
	database := strings.TrimPrefix(path, "/")
	switch a.kind {
	case cluster:
		if database != "" {
			return errors.New("names a database, and a cluster has only one; leave it out")
		}
	case sentinel:
		a.master, database, _ = strings.Cut(database, "/")
		if a.master == "" {
			return errors.New("does not name the master that the sentinels watch; write its name after the hosts: redis+sentinel://host:26379/mymaster")
		}
	}
	return a.readDatabase(database)
}

func (a *address) readDatabase(text string) error {
	if text == "" {
		return nil
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("has a database that is not a number, such as 0")
	}
	a.database = int(number)
	return nil
}

func (a *address) readQuery(query url.Values) error {
	for name, values := range query {
		value, known := values[len(values)-1], len(values) == 1
		switch {
		case known && name == "ca" && a.tls:
			a.authorities = value
		case known && name == "db" && a.socket != "":
			if err := a.readDatabase(value); err != nil {
				return err
			}
		case known && name == "sentinel_user" && a.kind == sentinel:
			a.sentinelUser = value
		case known && name == "sentinel_password" && a.kind == sentinel:
			a.sentinelPassword = value
		default:
			return fmt.Errorf("has a parameter that is not known there or is given twice; there are ca (a PEM file, with rediss), db (with unix), sentinel_user and sentinel_password (with sentinels)")
		}
	}
	return nil
}
