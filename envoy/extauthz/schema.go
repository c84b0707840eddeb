package extauthz

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// schema tells which bytes are a message of a type, as far as that is more than
// being well-formed fields: the text in it must be UTF-8, and so must the text of
// the messages in it (Protocol Buffers, "Encoding"). It accepts and refuses what
// the generated type does.
type schema struct {
	fields []field // by number
}

// field is what the bytes of a length-delimited field are.
type field struct {
	kind kind
	of   *schema // of a message, or of a map's entries
}

type kind uint8

const (
	opaque  kind = iota // bytes, a number, or a field that is not known
	text                // must be UTF-8
	message             // of the schema
	entries             // of a map
)

// maxDepth is how deep messages may lie in each other.
const maxDepth = protowire.DefaultRecursionLimit

// schemas makes the schema of a type and of all types it leads to.
type schemas map[protoreflect.FullName]*schema

// of is the schema of a type. The error names a kind of field that no message of
// Envoy's had when this was written.
func (known schemas) of(d protoreflect.MessageDescriptor) (*schema, error) {
	if s, ok := known[d.FullName()]; ok {
		return s, nil
	}
	s := &schema{}
	known[d.FullName()] = s
	if d.ExtensionRanges().Len() > 0 || d.RequiredNumbers().Len() > 0 {
		return nil, fmt.Errorf("extauthz: message %s has extensions or required fields, which are not read", d.FullName())
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		for len(s.fields) <= int(f.Number()) {
			s.fields = append(s.fields, field{})
		}
		made, err := known.field(f)
		if err != nil {
			return nil, err
		}
		s.fields[f.Number()] = made
	}
	return s, nil
}

func (known schemas) field(f protoreflect.FieldDescriptor) (made field, err error) {
	switch f.Kind() {
	case protoreflect.StringKind:
		made.kind = text
	case protoreflect.BytesKind:
	case protoreflect.MessageKind:
		made.kind = message
		if f.IsMap() {
			made.kind = entries
		}
		made.of, err = known.of(f.Message())
	default:
		if f.IsList() || f.Kind() == protoreflect.GroupKind {
			err = fmt.Errorf("extauthz: field %s is a list of numbers or a group, which is not read", f.FullName())
		}
	}
	return made, err
}

// valid reports whether the bytes are a message of this type, with room for depth
// messages in each other.
func (s *schema) valid(b []byte, depth int) bool {
	if depth--; depth < 0 {
		return false
	}
	for len(b) > 0 {
		number, value, n := next(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if value != nil && !s.accepts(number, value, depth) {
			return false
		}
		if value == nil && depth == 0 && s.field(number).kind == entries {
			return false // the generated type counts a map's depth before it looks at the wire type
		}
	}
	return true
}

// each reads a message whose fields are of interest: read judges the content of
// each length-delimited field, in order.
func each(b []byte, read func(number protowire.Number, value []byte) bool) bool {
	for len(b) > 0 {
		number, value, n := next(b)
		if n < 0 || value != nil && !read(number, value) {
			return false
		}
		b = b[n:]
	}
	return true
}

// next reads one field: its content where it is length-delimited, else nil. n is
// how long it is with its tag, and negative where it is malformed.
func next(b []byte) (number protowire.Number, value []byte, n int) {
	const first, last = 1<<3 | byte(protowire.BytesType), 0x80
	if len(b) > 1 && b[0] >= first && b[0] < last && b[0]&7 == byte(protowire.BytesType) && b[1] < last {
		if n = 2 + int(b[1]); n <= len(b) { // nearly every field is short
			return protowire.Number(b[0] >> 3), b[2:n], n
		}
	}
	return nextOfAny(b)
}

func nextOfAny(b []byte) (number protowire.Number, value []byte, n int) {
	number, wire, n := protowire.ConsumeTag(b)
	if n < 0 || number > protowire.MaxValidNumber {
		return 0, nil, -1
	}
	var length int
	if wire != protowire.BytesType {
		length = protowire.ConsumeFieldValue(number, wire, b[n:])
	} else if value, length = protowire.ConsumeBytes(b[n:]); value == nil {
		value = b[:0] // present, and empty
	}
	if length < 0 {
		return 0, nil, -1
	}
	return number, value, n + length
}

// accepts judges the content of a length-delimited field.
func (s *schema) accepts(number protowire.Number, value []byte, depth int) bool {
	switch f := s.field(number); f.kind {
	case text:
		return utf8.Valid(value)
	case message, entries:
		return f.of.valid(value, depth)
	}
	return true
}

func (s *schema) field(number protowire.Number) field {
	if int(number) < len(s.fields) {
		return s.fields[number]
	}
	return field{}
}
