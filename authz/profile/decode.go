package profile

import (
	"reflect"
	"strconv"
	"strings"
)

// decoder fills the types of document.go from a tree. Unknown fields and wrong
// types are problems, and it notes where each field was written, so that later
// checks can name the line by the field's path.
type decoder struct {
	places   map[string]place
	problems *Problems
}

var (
	treeType  = reflect.TypeFor[*tree]()
	kindsType = reflect.TypeFor[kinds]()

	outageType = reflect.TypeFor[outageDoc]()
)

func (d *decoder) decode(t *tree, path string, into reflect.Value) {
	d.places[path] = t.at
	if into.Type() == treeType {
		into.Set(reflect.ValueOf(t))
		return
	}
	if t.isNull() {
		return // as if it were not written
	}
	switch into.Kind() {
	case reflect.Pointer:
		value := reflect.New(into.Type().Elem())
		d.decode(t, path, value.Elem())
		into.Set(value)
	case reflect.Struct:
		d.structure(t, path, into)
	case reflect.Map:
		d.mapping(t, path, into)
	case reflect.Slice:
		d.list(t, path, into)
	default:
		d.scalar(t, path, into)
	}
}

func (d *decoder) structure(t *tree, path string, into reflect.Value) {
	if into.Type() == outageType && t.kind == scalarTree && t.value == "deny" {
		return
	}
	if t.kind != mapTree {
		d.problems.add(t.at, path, "must be a map of fields, not %s", t.describe())
		return
	}
	for i, key := range t.keys {
		field, known := fieldByTag(into, key.name)
		if !known {
			d.problems.add(key.at, join(path, key.name), "is not a field here; known are %s", strings.Join(tags(into.Type()), ", "))
			continue
		}
		d.decode(t.items[i], join(path, key.name), field)
		d.places[join(path, key.name)] = key.at
	}
}

func (d *decoder) mapping(t *tree, path string, into reflect.Value) {
	if t.kind != mapTree {
		d.problems.add(t.at, path, "must be a map, not %s", t.describe())
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for i, key := range t.keys {
		value := reflect.New(into.Type().Elem()).Elem()
		d.decode(t.items[i], join(path, key.name), value)
		d.places[join(path, key.name)] = key.at
		into.SetMapIndex(reflect.ValueOf(key.name), value)
	}
}

func (d *decoder) list(t *tree, path string, into reflect.Value) {
	if into.Type() == kindsType && t.kind == scalarTree {
		t = &tree{at: t.at, kind: listTree, items: []*tree{t}}
	}
	if t.kind != listTree {
		d.problems.add(t.at, path, "must be a list, not %s", t.describe())
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(t.items), len(t.items)))
	for i, item := range t.items {
		d.decode(item, path+"["+strconv.Itoa(i)+"]", into.Index(i))
	}
}

func (d *decoder) scalar(t *tree, path string, into reflect.Value) {
	want := map[reflect.Kind]string{reflect.String: "!!str", reflect.Bool: "!!bool", reflect.Int64: "!!int"}[into.Kind()]
	if t.kind == scalarTree && t.tag == want {
		switch into.Kind() {
		case reflect.String:
			into.SetString(t.value)
			return
		case reflect.Bool:
			into.SetBool(strings.EqualFold(t.value, "true"))
			return
		case reflect.Int64:
			if n, err := strconv.ParseInt(t.value, 0, 64); err == nil {
				into.SetInt(n)
				return
			}
		}
	}
	need := map[string]string{"!!str": "text; quote it", "!!bool": "true or false", "!!int": "a whole number"}[want]
	d.problems.add(t.at, path, "is %s and must be %s", t.describe(), need)
}

func fieldByTag(into reflect.Value, name string) (reflect.Value, bool) {
	for i := range into.NumField() {
		if into.Type().Field(i).Tag.Get("yaml") == name {
			return into.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func tags(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("yaml")
	}
	return names
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
