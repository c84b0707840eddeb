package postgres

import (
	"database/sql/driver"
	"fmt"
	"time"

	"postern/authz/identity"
)

// The types below carry a field to its column and back:
// (*instant)(&key.ExpiresAt) to scan, instant(key.ExpiresAt) as an argument.
// Grants are JSON by themselves.

// instant is a time in UTC; the zero time is NULL.
type instant time.Time

// Value implements driver.Valuer.
func (i instant) Value() (driver.Value, error) {
	if time.Time(i).IsZero() {
		return nil, nil
	}
	return kept(time.Time(i)), nil
}

// Scan implements sql.Scanner.
func (i *instant) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*i = instant{}
	case time.Time:
		*i = instant(v.UTC())
	default:
		return fmt.Errorf("time is kept as %T, want a timestamp", value)
	}
	return nil
}

// kept is a time as it comes back from the database: to the microsecond.
func kept(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

// detail is what an event says besides: a JSON object of strings.
type detail map[string]string

// given is the object of an event, never NULL.
func (d detail) given() map[string]string {
	if d == nil {
		return map[string]string{}
	}
	return d
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

// secret is a text that nothing but the database may keep.
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
