package credential

import (
	"encoding/base64"
	"hash/crc32"
	"strings"
	"unsafe"

	"postern/authz/identity"
)

const (
	alphabet       = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	secretBytes    = 32 // random bytes in a key
	secretLength   = 43 // base62 characters that hold them
	checksumLength = 6  // base62 characters that hold a CRC-32
	uuidLength     = 36

	// A pair made elsewhere may have a secret of another length. bcrypt reads
	// no more than 72 bytes.
	minPairSecret = 16
	maxPairSecret = 72
	maxPair       = uuidLength + 1 + maxPairSecret
	maxPairBase64 = (maxPair + 2) / 3 * 4
)

// Valid reports whether raw could be a key of this format: its shape, its
// checksum and its one canonical spelling. It needs no I/O and does not allocate,
// so a typo never costs a look-up.
func (f *Format) Valid(raw string) bool {
	switch f.Layout {
	case Opaque:
		return f.validOpaque(raw)
	case Pair:
		var buffer [maxPair]byte
		return decodePair(&buffer, raw) > 0
	default:
		return false
	}
}

func (f *Format) validOpaque(raw string) bool {
	length := len(f.Prefix) + secretLength
	total := length
	if f.Checksum {
		total += checksumLength
	}
	if len(raw) != total || !strings.HasPrefix(raw, f.Prefix) {
		return false
	}
	if !allBytes(raw[len(f.Prefix):], alphanumeric) {
		return false
	}
	if !f.Checksum {
		return true
	}
	sum := checksum(raw[:length])
	return raw[length:] == string(sum[:])
}

// checksum is the CRC-32 (IEEE) in base62, padded on the left.
func checksum(text string) [checksumLength]byte {
	crc := crc32.ChecksumIEEE(unsafe.Slice(unsafe.StringData(text), len(text))) // it only reads, so the text may be lent to it
	var sum [checksumLength]byte
	for i := len(sum) - 1; i >= 0; i-- {
		sum[i] = alphabet[crc%62]
		crc /= 62
	}
	return sum
}

// Split takes a Pair apart. It is not ok for anything that is not Valid.
func (f *Format) Split(raw string) (id identity.KeyID, secret string, ok bool) {
	if f.Layout != Pair {
		return "", "", false
	}
	var buffer [maxPair]byte
	n := decodePair(&buffer, raw)
	if n == 0 {
		return "", "", false
	}
	text := string(buffer[:n])
	return identity.KeyID(text[:uuidLength]), text[uuidLength+1:], true
}

// decodePair writes "{uuid}:{secret}" and returns its length; 0: raw is not the
// canonical form of a pair.
func decodePair(pair *[maxPair]byte, raw string) int {
	if len(raw) > maxPairBase64 || len(raw)%4 != 0 {
		return 0
	}
	// The decoder wants whole quanta, so it gets a little more room than a pair.
	var encoded, again [maxPairBase64]byte
	var decoded [maxPairBase64 / 4 * 3]byte
	copy(encoded[:], raw)
	n, err := base64.StdEncoding.Decode(decoded[:], encoded[:len(raw)])
	if err != nil || n > maxPair || n < uuidLength+1+minPairSecret {
		return 0
	}
	// The decoder skips line ends and ignores the last bits: only the spelling
	// that encoding gives is the key.
	base64.StdEncoding.Encode(again[:], decoded[:n])
	if string(again[:base64.StdEncoding.EncodedLen(n)]) != raw {
		return 0
	}
	if !isUUIDv4(decoded[:uuidLength]) || decoded[uuidLength] != ':' {
		return 0
	}
	for _, c := range decoded[uuidLength+1 : n] {
		if !isURLByte(c) {
			return 0
		}
	}
	return copy(pair[:], decoded[:n])
}

// isUUIDv4 reports whether the 36 bytes are a random UUID in lower case (RFC 9562 § 5.4).
func isUUIDv4(text []byte) bool {
	for i, c := range text {
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
				return false
			}
		}
	}
	variant := text[19]
	return text[14] == '4' && (variant == '8' || variant == '9' || variant == 'a' || variant == 'b')
}
