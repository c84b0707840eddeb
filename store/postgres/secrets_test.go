package postgres_test

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"postern/authz/identity"
	"postern/internal/testenv"
	"postern/store/postgres"
)

func TestNoErrorTellsThePassword(t *testing.T) {
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	nobody := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	const password = "pass-word"
	for name, url := range map[string]string{
		"nobody listens":        "postgres://user:" + password + "@" + nobody + "/db?sslmode=disable",
		"no such database":      "postgres://postgres:" + password + "@" + server.Address() + "/nosuch?sslmode=disable",
		"no such user":          "postgres://nosuch:" + password + "@" + server.Address() + "/" + template + "?sslmode=disable",
		"the server has no TLS": "postgres://postgres:" + password + "@" + server.Address() + "/db?sslmode=require",
		"an unknown TLS mode":   "postgres://user:" + password + "@host/db?sslmode=maybe",
		"a missing certificate": "postgres://user:" + password + "@host/db?sslmode=verify-full&sslrootcert=/nosuch.pem",
		"a port that is none":   "postgres://user:" + password + "@host:port/db",
		"an unescaped slash":    "postgres://user:" + password + "/more@host/db",
		"an unescaped percent":  "postgres://user:" + password + "%zz@host/db",
		"another engine":        "mysql://user:" + password + "@host/db",
		"keys and values":       "host=/nosuch user=user password=" + password + " connect_timeout=x",
		"in the query":          "postgres://" + nobody + "/db?sslmode=disable&user=user&password=" + password,
		"nothing":               password,
	} {
		t.Run(name, func(t *testing.T) {
			_, openErr := postgres.Open(t.Context(), postgres.Options{URL: identity.NewSecret(url)})
			_, migrateErr := postgres.Migrate(t.Context(), identity.NewSecret(url))
			_, statusErr := postgres.Status(t.Context(), identity.NewSecret(url))
			for _, err := range []error{openErr, migrateErr, statusErr} {
				if err == nil {
					t.Fatal("the URL was taken")
				}
				for _, verb := range []string{"%v", "%+v", "%#v"} {
					if text := fmt.Sprintf(verb, err); strings.Contains(text, password) {
						t.Errorf("%s tells the password: %s", verb, text)
					}
				}
				var unreachable *pgconn.ConnectError
				var unreadable *pgconn.ParseConfigError
				if errors.As(err, &unreachable) || errors.As(err, &unreadable) {
					t.Errorf("the error carries the connection's configuration: %v", err)
				}
			}
		})
	}
}

func TestAStoreIsPrintedWithoutItsPassword(t *testing.T) {
	url := strings.Replace(server.URL(migrated(t)), "postgres@", "postgres:pass-word@", 1)
	s := open(t, url)
	o := postgres.Options{URL: identity.NewSecret(url)}
	for _, text := range []string{fmt.Sprintf("%+v", s), fmt.Sprintf("%+v", o), fmt.Sprintf("%v", s)} {
		if strings.Contains(text, "pass-word") {
			t.Errorf("it is in %s", text)
		}
	}
}
