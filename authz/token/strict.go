package token

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// MaxLength bounds a token, in bytes.
const MaxLength = 8 << 10

var errShape = errors.New("the token is not three parts of base64url with a JSON object in the first two")

// compact is a token taken apart and not yet verified: nothing in it may be
// believed, it only says which key and which rule to verify it with.
type compact struct {
	algorithm string
	keyID     string
	issuer    string
}

// takeApart reads header and claims. It refuses what two readers could read in
// two ways: repeated names (RFC 7515 § 4, RFC 7519 § 4), base64 with stray bits,
// and critical extensions, of which it knows none (RFC 7515 § 4.1.11).
func takeApart(raw string) (compact, error) {
	if len(raw) > MaxLength {
		return compact{}, errors.New("the token is too long")
	}
	parts := strings.Split(raw, ".")
	// The base64 decoders would skip line ends.
	if len(parts) != 3 || parts[2] == "" || strings.ContainsAny(raw, "\r\n") {
		return compact{}, errShape
	}
	header, errHeader := readPart(parts[0])
	body, errBody := readPart(parts[1])
	if err := errors.Join(errHeader, errBody); err != nil {
		return compact{}, err
	}
	var c compact
	var ok bool
	if c.algorithm, ok = header["alg"].(string); !ok {
		return compact{}, errors.New("the token's header has no alg")
	}
	if kid, present := header["kid"]; present {
		if c.keyID, ok = kid.(string); !ok {
			return compact{}, errors.New("the token's kid is not a string")
		}
	}
	if _, present := header["crit"]; present {
		return compact{}, errors.New("the token's header has critical extensions, and none is known")
	}
	c.issuer, _ = body["iss"].(string)
	return c, nil
}

func readPart(part string) (map[string]any, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errShape
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, errShape
	}
	if err := refuseRepeatedNames(text); err != nil {
		return nil, err
	}
	return object, nil
}

// refuseRepeatedNames walks a valid JSON text; json.Unmarshal would silently keep
// the last of two members.
func refuseRepeatedNames(text []byte) error {
	type level struct {
		names map[string]bool // nil in an array
		value bool            // the next token is a member's value
	}
	var levels []level
	decoder := json.NewDecoder(bytes.NewReader(text))
	for {
		next, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if delimiter, ok := next.(json.Delim); ok && (delimiter == '}' || delimiter == ']') {
			levels = levels[:len(levels)-1]
			continue
		}
		if len(levels) > 0 {
			top := &levels[len(levels)-1]
			if top.names != nil && !top.value {
				name, _ := next.(string)
				if top.names[name] {
					return errors.New("the token names a member twice")
				}
				top.names[name] = true
				top.value = true
				continue
			}
			top.value = false
		}
		switch next {
		case json.Delim('{'):
			levels = append(levels, level{names: make(map[string]bool)})
		case json.Delim('['):
			levels = append(levels, level{})
		}
	}
}
