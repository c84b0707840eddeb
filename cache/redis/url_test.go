package redis

import (
	"reflect"
	"strings"
	"testing"

	"postern/authz/identity"
)

func TestAURLNamesServersAndHowTheyWorkTogether(t *testing.T) {
	for text, want := range map[string]address{
		"redis://cache":                     {hosts: []string{"cache:6379"}},
		"redis://cache:7000/":               {hosts: []string{"cache:7000"}},
		"redis://cache:7000/15":             {hosts: []string{"cache:7000"}, database: 15},
		"redis://[::1]:7000":                {hosts: []string{"[::1]:7000"}},
		"redis://[::1]":                     {hosts: []string{"[::1]:6379"}},
		"redis://u:p%40ss%2F@cache":         {hosts: []string{"cache:6379"}, user: "u", password: "p@ss/"},
		"redis://:pw@cache":                 {hosts: []string{"cache:6379"}, password: "pw"},
		"rediss://cache":                    {hosts: []string{"cache:6379"}, tls: true},
		"rediss://cache/1?ca=/etc/ca.pem":   {hosts: []string{"cache:6379"}, tls: true, database: 1, authorities: "/etc/ca.pem"},
		"unix:///run/redis.sock":            {socket: "/run/redis.sock"},
		"unix://:pw@/run/redis.sock?db=2":   {socket: "/run/redis.sock", password: "pw", database: 2},
		"redis+cluster://a":                 {kind: cluster, hosts: []string{"a:6379"}},
		"redis+cluster://u:p@a:1,b,[::1]:3": {kind: cluster, hosts: []string{"a:1", "b:6379", "[::1]:3"}, user: "u", password: "p"},
		"rediss+cluster://a,b?ca=ca.pem":    {kind: cluster, hosts: []string{"a:6379", "b:6379"}, tls: true, authorities: "ca.pem"},
		"redis+sentinel://a,b:1/main":       {kind: sentinel, hosts: []string{"a:26379", "b:1"}, master: "main"},
		"redis+sentinel://:pw@a/main/4?sentinel_user=s&sentinel_password=t": {
			kind: sentinel, hosts: []string{"a:26379"}, master: "main", database: 4, password: "pw", sentinelUser: "s", sentinelPassword: "t"},
	} {
		if have, err := parse(text); err != nil || !reflect.DeepEqual(have, want) {
			t.Errorf("%s: got %+v, %v", text, have, err)
		}
	}
}

func TestAURLThatSaysSomethingElseIsRefusedWithoutShowingIt(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":                      "",
		"no scheme":                    "hunter2@cache:6379",
		"another scheme":               "memcached://hunter2@cache",
		"a scheme of another library":  "redis-sentinel://hunter2@cache",
		"no host":                      "redis://:hunter2@",
		"no host but a port":           "redis://:hunter2@:6379",
		"an empty host among several":  "redis+cluster://:hunter2@a,,b",
		"a port that is a name":        "redis://:hunter2@cache:redis",
		"the port 0":                   "redis://:hunter2@cache:0",
		"a port out of range":          "redis://:hunter2@cache:65536",
		"an IPv6 address without []":   "redis://:hunter2@::1",
		"a password that is not coded": "redis://:hunter2/x@cache",
		"a bad escape":                 "redis://:hunter2%zz@cache",
		"several hosts, no more said":  "redis://:hunter2@a,b",
		"a database by name":           "redis://:hunter2@cache/main",
		"a negative database":          "redis://:hunter2@cache/-1",
		"a database of a cluster":      "redis+cluster://:hunter2@a/1",
		"sentinels without a master":   "redis+sentinel://:hunter2@a",
		"sentinels with a bad number":  "redis+sentinel://:hunter2@a/main/x",
		"a socket with a host":         "unix://:hunter2@cache/run/redis.sock",
		"no socket":                    "unix://:hunter2@",
		"a folder for a socket":        "unix://:hunter2@/run/",
		"an unknown parameter":         "redis://cache?password=hunter2",
		"a parameter of another kind":  "redis://cache?ca=hunter2",
		"a parameter twice":            "rediss://cache?ca=a&ca=hunter2",
		"a fragment":                   "redis://cache#hunter2",
	} {
		err := CheckURL(identity.NewSecret(text))
		if err == nil {
			t.Errorf("%s is accepted: %s", what, text)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %q shows the password", what, err)
		}
	}
}

func FuzzAURLIsReadOrRefusedWithoutShowingIt(f *testing.F) {
	for _, seed := range []string{"redis://u:pw@host:1/2", "unix:///s?db=1", "redis+cluster://a,b", "redis+sentinel://a/m/1", "rediss://[::1]?ca=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parse(text)
		if err != nil {
			if len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Errorf("%q shows the address", err)
			}
			return
		}
		if (a.socket == "") == (len(a.hosts) == 0) {
			t.Errorf("%q names %v and the socket %q", text, a.hosts, a.socket)
		}
		if a.kind == sentinel && a.master == "" || a.kind == single && len(a.hosts) > 1 {
			t.Errorf("%q is %+v", text, a)
		}
	})
}
