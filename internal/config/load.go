package config

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// fileFlag and fileEnv name the configuration file.
const (
	fileFlag = "config"
	fileEnv  = "POSTERN_CONFIG"
)

// loader gathers the values of one Config, and from where each came.
type loader struct {
	cfg      Config
	fields   []field
	env      func(string) (string, bool)
	origin   map[string]string // path → source of the value in force
	problems Problems
}

// Default is the configuration that says nothing.
func Default() Config {
	var cfg Config
	for _, f := range fields(&cfg) {
		if text, ok := f.tag.Lookup("default"); ok {
			if err := f.set(text); err != nil {
				panic(fmt.Sprintf("config: default of %s %v", f.path, err)) // the tag is wrong: a test sees it
			}
		}
	}
	return cfg
}

// Load reads the configuration from the defaults, the file that --config or
// POSTERN_CONFIG names, the environment (os.LookupEnv, or a test's own) and the
// flags in args, each overruling what precedes it. The error is a Problems with
// everything that is wrong, or pflag.ErrHelp where args ask for help.
func Load(args []string, env func(string) (string, bool)) (Config, error) {
	flags := pflag.NewFlagSet("postern", pflag.ContinueOnError)
	flags.Usage = func() {}
	AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return Config{}, err
		}
		return Config{}, Problems{{Source: "flags", Text: err.Error()}}
	}
	if flags.NArg() > 0 {
		return Config{}, Problems{{Source: "flags", Text: fmt.Sprintf("unexpected argument %q", flags.Arg(0))}}
	}
	return LoadFlags(flags, env)
}

// AddFlags adds --config and a flag for every field but the secrets, which must
// not be seen in a list of processes.
func AddFlags(flags *pflag.FlagSet) {
	flags.String(fileFlag, "", "configuration file ("+fileEnv+")")
	defaults := Default()
	for _, f := range fields(&defaults) {
		if f.secret() {
			continue
		}
		flags.Var(&flagText{text: f.text(), kind: f.kind()}, f.flag(), f.doc())
		if f.kind() == "bool" {
			flags.Lookup(f.flag()).NoOptDefVal = "true"
		}
	}
}

// LoadFlags is Load for flags that AddFlags made and a command has parsed.
func LoadFlags(flags *pflag.FlagSet, env func(string) (string, bool)) (Config, error) {
	l := &loader{cfg: Default(), env: env, origin: map[string]string{}}
	l.fields = fields(&l.cfg)

	file, _ := env(fileEnv)
	if flag := flags.Lookup(fileFlag); flag != nil && flag.Changed {
		file = flag.Value.String()
	}
	if file != "" {
		l.readFile(file)
	}
	l.readEnv()
	for _, f := range l.fields {
		if flag := flags.Lookup(f.flag()); flag != nil && flag.Changed && !f.secret() {
			l.set(f, "--"+f.flag(), flag.Value.String())
		}
	}
	l.check()
	return l.cfg, l.problems.orNil()
}

// set takes a value and remembers its source, or reports what is wrong with it.
func (l *loader) set(f field, source, text string) {
	l.origin[f.path] = source
	if err := f.set(text); err != nil {
		l.report(f.path, source, err.Error())
	}
}

// readEnv takes the variables. A secret, or what may hold one, may also be in the file that its _FILE
// twin names, which is how container platforms hand out secrets.
func (l *loader) readEnv() {
	for _, f := range l.fields {
		text, given := l.env(f.env())
		if f.fromFile() {
			path, twin := l.env(f.env() + "_FILE")
			switch {
			case given && twin:
				l.report(f.path, f.env(), "is given twice; set "+f.env()+" or "+f.env()+"_FILE, not both")
				continue
			case twin:
				l.setFromFile(f, f.env()+"_FILE", path)
				continue
			}
		}
		if given {
			l.set(f, f.env(), text)
		}
	}
}

// setFromFile takes a secret from a file, without the newline at its end.
func (l *loader) setFromFile(f field, source, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		l.report(f.path, source, fmt.Sprintf("cannot be read: %v; name a file that the server may read", err))
		return
	}
	l.set(f, source, strings.TrimRight(string(content), "\r\n"))
}

func (l *loader) report(path, source, text string) {
	l.problems = append(l.problems, Problem{Field: path, Source: source, Text: text})
}

// RequireAdminKey is what serving asks beyond Load: without a key nobody could
// manage the server, and an open management API is never offered.
func (c Config) RequireAdminKey() error {
	if !c.Admin.Key.IsZero() {
		return nil
	}
	return Problems{{Field: "admin.key", Text: "is not set; set POSTERN_ADMIN_KEY, or POSTERN_ADMIN_KEY_FILE to a file with it, to 16 or more characters, such as the output of: openssl rand -hex 32"}}
}

// flagText holds a flag's text until the sources are merged. Repeating the flag
// of a list adds to it.
type flagText struct {
	text, kind string
	given      bool
}

// String is the text (pflag.Value).
func (t *flagText) String() string { return t.text }

// Type names the value in the help (pflag.Value).
func (t *flagText) Type() string { return t.kind }

// Set takes the text as it is (pflag.Value); fields are parsed with the others.
func (t *flagText) Set(text string) error {
	if t.kind == "list" && t.given {
		text = t.text + "," + text
	}
	t.text, t.given = text, true
	return nil
}
