package sqlite

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"postern/authz/identity"
)

// The types below carry a field to its column and back:
// (*instant)(&key.ExpiresAt) to scan, instant(key.ExpiresAt) as an argument.

// instant is a time as microseconds since 1970 UTC; the zero time is NULL.
type instant time.Time

// Value implements driver.Valuer.
func (i instant) Value() (driver.Value, error) {
	if time.Time(i).IsZero() {
		return nil, nil
	}
	return time.Time(i).UnixMicro(), nil
}

// Scan implements sql.Scanner.
func (i *instant) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*i = instant{}
	case int64:
		*i = instant(time.UnixMicro(v).UTC())
	default:
		return fmt.Errorf("time is kept as %T, want an integer", value)
	}
	return nil
}

// kept is a time as it comes back from the file.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

// grants is a JSON array of strings.
type grants identity.Grants

// Value implements driver.Valuer.
func (g grants) Value() (driver.Value, error) {
	list := identity.Grants(g).List()
	if list == nil {
		list = []string{}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// Scan implements sql.Scanner.
func (g *grants) Scan(value any) error {
	var list []string
	if err := scanJSON(value, &list); err != nil {
		return fmt.Errorf("grants: %w", err)
	}
	*g = grants(identity.NewGrants(list...))
	return nil
}

// detail is a JSON object of strings; an empty one comes back nil.
type detail map[string]string

// Value implements driver.Valuer.
func (d detail) Value() (driver.Value, error) {
	if d == nil {
		return "{}", nil
	}
	text, err := json.Marshal(d)
	return string(text), err
}

// Scan implements sql.Scanner.
func (d *detail) Scan(value any) error {
	var object map[string]string
	if err := scanJSON(value, &object); err != nil {
		return fmt.Errorf("detail: %w", err)
	}
	if len(object) == 0 {
		object = nil
	}
	*d = object
	return nil
}

func scanJSON(value, into any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("is kept as %T, want text", value)
	}
	return json.Unmarshal([]byte(text), into)
}

// digest is 32 bytes; the zero digest is NULL.
type digest identity.Digest

// Value implements driver.Valuer.
func (d digest) Value() (driver.Value, error) {
	if d == (digest{}) {
		return nil, nil
	}
	return d[:], nil
}

// Scan implements sql.Scanner.
func (d *digest) Scan(value any) error {
	if value == nil {
		*d = digest{}
		return nil
	}
	raw, ok := value.([]byte)
	if !ok || len(raw) != len(d) {
		return fmt.Errorf("digest is kept as %T of %d bytes, want %d bytes", value, len(raw), len(d))
	}
	copy(d[:], raw)
	return nil
}

// secret is a text that nothing but the file may keep.
type secret identity.Secret

// Value implements driver.Valuer.
func (s secret) Value() (driver.Value, error) { return identity.Secret(s).Reveal(), nil }

// Scan implements sql.Scanner.
func (s *secret) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("secret is kept as %T, want text", value)
	}
	*s = secret(identity.NewSecret(text))
	return nil
}
