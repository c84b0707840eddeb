package identity

import "log/slog"

const redacted = "[redacted]"

// Secret is text that must not be shown: it redacts itself wherever it is
// printed, marshalled or logged. Reveal is the only way to the text.
type Secret struct{ text string }

// NewSecret wraps the text.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the text, for verifying or for showing it once to its owner.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.text == "" }

// String redacts (fmt.Stringer).
func (s Secret) String() string { return redacted }

// GoString redacts (fmt.GoStringer, the %#v verb).
func (s Secret) GoString() string { return redacted }

// MarshalText redacts in JSON, YAML and every other text encoding.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the text as it stands, for configuration.
func (s *Secret) UnmarshalText(text []byte) error {
	s.text = string(text)
	return nil
}

// LogValue redacts in slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
