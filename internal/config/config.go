// Package config is the server's configuration: one struct from which the
// defaults, the file, the environment variables, the flags, the JSON Schema and
// the reference page all follow. It knows where values come from and which are
// acceptable; it must not know what is built from them.
package config

import (
	"time"

	"postern/authz/identity"
)

// Config is everything the server can be told. A field's path, such as
// store.url, is its name in the file; POSTERN_STORE_URL and --store-url follow
// from it. The tags are the single source of what a field means and allows.
type Config struct {
	Store    Store    `yaml:"store" doc:"Where Postern keeps its records."`
	Check    Check    `yaml:"check" doc:"The authorization service that Envoy calls."`
	Admin    Admin    `yaml:"admin" doc:"The management API."`
	Profiles Profiles `yaml:"profiles" doc:"The authentication models to serve."`

	Environment identity.Environment `yaml:"environment" doc:"The environment this server is, such as production; credentials of another one are refused by profiles that do not name their own."`
	Issuer      identity.Issuer      `yaml:"issuer" doc:"The iss of the tokens that Postern mints itself." default:"https://postern.internal"`

	Cache    Cache    `yaml:"cache" doc:"How long and how much is remembered."`
	Log      Log      `yaml:"log" doc:"What is written to standard error."`
	Shutdown Shutdown `yaml:"shutdown" doc:"How the server stops."`
	Hash     Hash     `yaml:"hash" doc:"The bound on slow hashes."`
}

// Store says where the records are.
type Store struct {
	URL string `yaml:"url" doc:"The store. sqlite:///var/lib/postern/postern.db is the absolute path /var/lib/postern/postern.db; sqlite:postern.db is relative to the working directory; postgres://user@host/database is PostgreSQL, with several hosts, sslmode and the like as libpq takes them. An address with a password belongs into the file that POSTERN_STORE_URL_FILE (or url_file) names, because a flag is seen in the list of processes." file:"yes" default:"sqlite:///var/lib/postern/postern.db"`
}

// Check says where Envoy reaches the server.
type Check struct {
	Listen string `yaml:"listen" doc:"Address of the Check service, host:port or unix:///path." default:"127.0.0.1:9001"`
}

// Admin says where and how the management API is reached.
type Admin struct {
	Listen string          `yaml:"listen" doc:"Address of the management API (gRPC, REST, metrics), host:port or unix:///path." default:"127.0.0.1:9002"`
	Key    identity.Secret `yaml:"key" doc:"The key that management clients present. The server does not start without one." min:"16"`
}

// Profiles says which authentication models are served.
type Profiles struct {
	Files   []string             `yaml:"files" doc:"Profile files, or folders whose *.yaml files are read; a profile of the same name replaces a preset."`
	Presets bool                 `yaml:"presets" doc:"Serve the embedded presets." default:"true"`
	Default identity.ProfileName `yaml:"default" doc:"The profile of a request whose route and host name none; empty refuses such requests."`
}

// Cache bounds what is remembered. Lifetimes are absolute: use does not extend them.
type Cache struct {
	TTL         time.Duration `yaml:"ttl" doc:"Life of a remembered record." default:"10s" min:"1ms" max:"10s"`
	NegativeTTL time.Duration `yaml:"negative_ttl" doc:"Life of the knowledge that a record does not exist." default:"2s" min:"1ms" max:"10s"`
	Size        int           `yaml:"size" doc:"Most records remembered." default:"100000" min:"1" max:"100000000"`

	URL     identity.Secret `yaml:"url" doc:"The cache that replicas share: redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://; none where it is not set. It may hold a password."`
	Timeout time.Duration   `yaml:"timeout" doc:"How long a look-up in the shared cache may take before the store is asked." default:"50ms" min:"1ms" max:"1s"`
}

// Log says what is logged.
type Log struct {
	Level       string  `yaml:"level" doc:"The least severe level that is written." default:"info" enum:"debug,info,warn,error"`
	Format      string  `yaml:"format" doc:"How a line is written." default:"json" enum:"json,text"`
	AllowSample float64 `yaml:"allow_sample" doc:"The share of allowed requests in the decision log, 0 to 1; denials are always in it." default:"1" min:"0" max:"1"`
}

// Shutdown bounds a graceful stop.
type Shutdown struct {
	Timeout time.Duration `yaml:"timeout" doc:"How long requests under way may take to finish after SIGTERM." default:"10s" min:"1ms" max:"10m"`
}

// Hash bounds the work of bcrypt and argon2id.
type Hash struct {
	Workers int `yaml:"workers" doc:"Slow hashes computed at the same time; 0 is half the processors, at least one." default:"0" min:"0" max:"1024"`
}
