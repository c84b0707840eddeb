// Package redis keeps a shared cache in Redis or what speaks its protocol: one
// server, a Cluster, or a master that Sentinels watch. It knows bytes, keys and
// revisions; it must not know what they mean, and nothing is safe because of it.
package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"postern/authz/identity"
)

// Options say where the servers are and bound what is asked of them.
type Options struct {
	// URL is the address; it may hold a password, and is shown nowhere:
	//
	//	redis://user:password@host:6379/0           one server; its database is 0 to 15
	//	unix:///run/redis.sock?db=0                 one on this machine
	//	redis+cluster://host:6379,host:6379         a Cluster, by some of its servers
	//	redis+sentinel://host:26379,host:26379/name the master that the Sentinels know by the name
	//
	// rediss:// is TLS, whose authorities are the system's or, with ?ca=, those of a
	// PEM file. Sentinels with a password take sentinel_user and sentinel_password.
	URL identity.Secret
	// Connections is the most that are kept to one server; 0 is 16.
	Connections int
}

// timeout ends what no context ends, and bounds the making of a connection. It is
// longer than a look-up may take: a connection that is made too late for the one
// that asked serves the next.
const timeout = time.Second

// Cache is a shared cache. It is safe for concurrent use.
type Cache struct {
	client goredis.UniversalClient
	put    *goredis.Script
}

// New makes a cache. It reads the file of authorities but connects to nothing:
// connections are made when they are needed, for as long as it takes.
func New(o Options) (*Cache, error) {
	a, err := parse(o.URL.Reveal())
	if err != nil {
		return nil, fmt.Errorf("redis: the URL %w", err)
	}
	security, err := a.security()
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	// The library prints to standard error, in a form of its own and for the whole
	// process, what every caller is told anyway.
	logging.Disable()

	options := &goredis.UniversalOptions{
		Addrs: a.hosts, Username: a.user, Password: a.password, DB: a.database, MasterName: a.master,
		SentinelUsername: a.sentinelUser, SentinelPassword: a.sentinelPassword, TLSConfig: security,
		ContextTimeoutEnabled: true, ReadTimeout: timeout, WriteTimeout: timeout,
		DialTimeout: timeout, DialerRetries: 1, PoolTimeout: timeout,
		MaxRetries: 1, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 10 * time.Millisecond,
		PoolSize: o.Connections, PipelinePoolSize: -1, ConnMaxIdleTime: 5 * time.Minute,
		// A managed server may know fewer commands than the library would greet it with.
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if options.PoolSize <= 0 {
		options.PoolSize = 16
	}
	return &Cache{client: connect(a, options), put: goredis.NewScript(putIfNewer)}, nil
}

func connect(a address, options *goredis.UniversalOptions) goredis.UniversalClient {
	switch {
	case a.kind == cluster:
		o := options.Cluster()
		o.MaxRetries = -1               // the one retry is among the redirections
		o.MaxRedirects = 2              // to the slot's new server, and one retry
		o.DisableRoutingPolicies = true // they ask for every command's description
		return goredis.NewClusterClient(o)
	case a.kind == sentinel:
		return goredis.NewFailoverClient(options.Failover())
	case a.socket != "":
		o := options.Simple()
		o.Network, o.Addr = "unix", a.socket
		return goredis.NewClient(o)
	default:
		return goredis.NewClient(options.Simple())
	}
}

// security is what TLS trusts; nil without TLS. The server's name is that of the
// host that is dialed.
func (a address) security() (*tls.Config, error) {
	if !a.tls {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.authorities != "" {
		pem, err := os.ReadFile(a.authorities)
		if err != nil {
			return nil, fmt.Errorf("read the authorities that ?ca= names: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("the file that ?ca= names holds no certificate in PEM")
		}
	}
	return config, nil
}

// revisionDigits begin a value: its revision in as many decimal digits as the
// largest has, so that their order is that of the numbers. A script's numbers are
// floating-point and lose the low bits of a large one.
const revisionDigits = 20

// putIfNewer is one step on one key, so a Cluster runs it too. What it finds under
// the key and did not write itself, of whatever type, gives way.
const putIfNewer = `
local held = redis.pcall('GETRANGE', KEYS[1], 0, 19)
if type(held) == 'string' and string.find(held, '^%d+$') and #held == 20 and held > ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1
`

// PutIfNewer keeps the value, unless the key holds one of a larger revision.
func (c *Cache) PutIfNewer(ctx context.Context, key string, revision identity.Revision, value []byte, ttl time.Duration) error {
	const doing = "write a value"
	if ttl <= 0 {
		return fmt.Errorf("redis: %s: its time to live is %v; it must be over 0", doing, ttl)
	}
	if err := ctx.Err(); err != nil {
		return failed(doing, err)
	}
	milliseconds := max(1, ttl.Milliseconds())
	err := c.put.Run(ctx, c.client, []string{key}, fmt.Sprintf("%0*d", revisionDigits, revision), value, milliseconds).Err()
	if err != nil {
		return failed(doing, err)
	}
	return nil
}

// Get returns a key's value. What this package did not write is returned as it
// stands, for the caller to reject.
func (c *Cache) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	const doing = "look up a value"
	if err := ctx.Err(); err != nil {
		return nil, false, failed(doing, err)
	}
	stored, err := c.client.Get(ctx, key).Bytes()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, false, nil
	case goredis.HasErrorPrefix(err, "WRONGTYPE"): // there is something, and no bytes
		return nil, true, nil
	case err != nil:
		return nil, false, failed(doing, err)
	case len(stored) < revisionDigits:
		return stored, true, nil
	}
	return stored[revisionDigits:], true, nil
}

// Close ends the connections; what is asked afterwards fails.
func (c *Cache) Close() error { return c.client.Close() }

// failure is an error that shows nothing of a command or an answer.
type failure struct {
	text  string
	cause error
}

// Error tells what was being done and what came of it.
func (f *failure) Error() string { return f.text }

// Unwrap is the cause, for errors.Is.
func (f *failure) Unwrap() error { return f.cause }

// failed keeps values and passwords out of an error: a server that does not know
// a command repeats its arguments, and the library quotes an answer that it cannot
// read. Of the former the code is left, such as NOPERM; of the latter what precedes
// the quotation.
func failed(doing string, err error) error {
	text := err.Error()
	var answer goredis.Error
	if errors.As(err, &answer) {
		text, _, _ = strings.Cut(answer.Error(), " ")
		text = "the server answered " + text
	}
	text, _, _ = strings.Cut(text, `"`)
	return &failure{text: "redis: " + doing + ": " + strings.TrimSpace(text), cause: err}
}
