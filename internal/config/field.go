package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"postern/authz/identity"
)

// The types that are more than their kind.
var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[identity.Secret]()
)

// field is one value of a Config, with the names it goes by.
type field struct {
	path  string // store.url
	tag   reflect.StructTag
	value reflect.Value
}

// section is a struct of a Config that holds fields; its path is "" for the root.
type section struct {
	path   string
	doc    string
	fields []field
}

// sections walks the struct: the root's own fields first, then each section.
func sections(cfg *Config) []section {
	root := reflect.ValueOf(cfg).Elem()
	found := []section{{}}
	for i := range root.NumField() {
		tag, value := root.Type().Field(i).Tag, root.Field(i)
		name := tag.Get("yaml")
		if value.Kind() != reflect.Struct || value.Type() == secretType {
			found[0].fields = append(found[0].fields, field{path: name, tag: tag, value: value})
			continue
		}
		part := section{path: name, doc: tag.Get("doc")}
		for j := range value.NumField() {
			tag := value.Type().Field(j).Tag
			part.fields = append(part.fields, field{path: name + "." + tag.Get("yaml"), tag: tag, value: value.Field(j)})
		}
		found = append(found, part)
	}
	return found
}

// fields lists every field in order.
func fields(cfg *Config) []field {
	var all []field
	for _, s := range sections(cfg) {
		all = append(all, s.fields...)
	}
	return all
}

func (f field) secret() bool { return f.value.Type() == secretType }

// fromFile: the value may stand in a file of its own.
func (f field) fromFile() bool { return f.secret() || f.tag.Get("file") != "" }
func (f field) list() bool     { return f.value.Kind() == reflect.Slice }
func (f field) doc() string    { return f.tag.Get("doc") }

// env is the field's variable: POSTERN_STORE_URL.
func (f field) env() string {
	return "POSTERN_" + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

// flag is the field's flag without the dashes: store-url.
func (f field) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(f.path)
}

// kind names the field's type for people and for pflag.
func (f field) kind() string {
	switch {
	case f.secret():
		return "secret"
	case f.value.Type() == durationType:
		return "duration"
	case f.list():
		return "list"
	case f.value.Kind() == reflect.Float64:
		return "number"
	default:
		return f.value.Kind().String()
	}
}

// set parses the text into the field and checks it against the tags. The error
// says what is wrong with the value, without repeating a secret.
func (f field) set(text string) error {
	switch f.kind() {
	case "secret":
		if least, _ := strconv.Atoi(f.tag.Get("min")); len(text) < least {
			return fmt.Errorf("is %d characters long; use %d or more, such as the output of: openssl rand -hex 32", len(text), least)
		}
		f.value.Set(reflect.ValueOf(identity.NewSecret(text)))
	case "duration":
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("is %q, not a duration; write a number and a unit, such as 10s or 500ms", text)
		}
		f.value.SetInt(int64(d))
		return f.inRange(float64(d), func(bound string) float64 {
			d, _ := time.ParseDuration(bound)
			return float64(d)
		})
	case "list":
		f.setList(strings.Split(text, ","))
	case "bool":
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("is %q; write true or false", text)
		}
		f.value.SetBool(on)
	case "int":
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("is %q; write a whole number", text)
		}
		f.value.SetInt(int64(n))
		return f.inRange(float64(n), parseNumber)
	case "number":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("is %q; write a number", text)
		}
		f.value.SetFloat(n)
		return f.inRange(n, parseNumber)
	default:
		f.value.SetString(text)
		return f.inEnum(text)
	}
	return nil
}

// setList replaces the list, without empty items and the space around them.
func (f field) setList(items []string) {
	var kept []string
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			kept = append(kept, item)
		}
	}
	f.value.Set(reflect.ValueOf(kept))
}

// inRange refuses NaN too: it is neither below nor above anything.
func (f field) inRange(n float64, parse func(string) float64) error {
	least, most := f.tag.Get("min"), f.tag.Get("max")
	if least == "" || (n >= parse(least) && n <= parse(most)) {
		return nil
	}
	return fmt.Errorf("is %s; use %s to %s", f.text(), least, most)
}

func (f field) inEnum(text string) error {
	allowed := f.tag.Get("enum")
	if allowed == "" {
		return nil
	}
	for _, one := range strings.Split(allowed, ",") {
		if text == one {
			return nil
		}
	}
	return fmt.Errorf("is %q; use one of %s", text, strings.ReplaceAll(allowed, ",", ", "))
}

// text is the value as set would take it; a secret is redacted.
func (f field) text() string {
	if f.list() {
		return strings.Join(f.value.Interface().([]string), ",")
	}
	return fmt.Sprint(f.value.Interface())
}

func parseNumber(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}
