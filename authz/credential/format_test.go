package credential_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"postern/authz/credential"
	"postern/authz/identity"
	"postern/authz/reason"
)

var (
	checked = &credential.Format{Layout: credential.Opaque, Prefix: "api_", Checksum: true, Hash: credential.SHA256}
	plain   = &credential.Format{Layout: credential.Opaque, Prefix: "art_live_", Hash: credential.SHA256}
	pair    = &credential.Format{Layout: credential.Pair, Hash: credential.Bcrypt}
)

const uuid4 = "0b7ff0d6-3f0a-4c6e-9d4e-5a1c2b3d4e5f"

func encodePair(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestAMintedOpaqueKeyIsValidAndVerifies(t *testing.T) {
	for _, format := range []*credential.Format{checked, plain} {
		rapid.Check(t, func(t *rapid.T) {
			random := rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "random")
			minted, err := format.Mint(bytes.NewReader(random))
			if err != nil {
				t.Fatal(err)
			}
			raw := minted.Raw.Reveal()
			if !format.Valid(raw) {
				t.Fatalf("minted %q is not valid", raw)
			}
			if minted.Digest != identity.DigestOf(raw) {
				t.Fatal("the digest is not the raw key's")
			}
			if ok, err := credential.VerifySecret(minted.Hash, raw); !ok || err != nil {
				t.Fatalf("does not verify: %v, %v", ok, err)
			}
			if ok, _ := credential.VerifySecret(minted.Hash, raw+"0"); ok {
				t.Fatal("another key verifies")
			}
			if len(minted.ID) != len("key_")+20 || !strings.HasPrefix(string(minted.ID), "key_") {
				t.Fatalf("id is %q", minted.ID)
			}
			if len(minted.Hint) != len(format.Prefix)+4 || !strings.HasPrefix(raw, minted.Hint) {
				t.Fatalf("hint is %q", minted.Hint)
			}
		})
	}
}

func TestAMintedPairIsValidAndItsSecretVerifies(t *testing.T) {
	minted, err := pair.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw := minted.Raw.Reveal()
	if !pair.Valid(raw) {
		t.Fatal("minted pair is not valid")
	}
	id, secret, ok := pair.Split(raw)
	if !ok || id != minted.ID || len(secret) != 43 {
		t.Fatalf("split into %q and %d characters, %v", id, len(secret), ok)
	}
	if !strings.HasPrefix(minted.Hash.Reveal(), "$2a$09$") {
		t.Fatal("not bcrypt of cost 9")
	}
	if minted.Digest != (identity.Digest{}) {
		t.Fatal("a pair kept by bcrypt has a digest")
	}
	if ok, err := credential.VerifySecret(minted.Hash, secret); !ok || err != nil {
		t.Fatalf("does not verify: %v, %v", ok, err)
	}
	if ok, err := credential.VerifySecret(minted.Hash, secret[1:]+"0"); ok || err != nil {
		t.Fatalf("another secret: %v, %v", ok, err)
	}
}

func TestAnyChangedCharacterBreaksTheChecksum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minted, err := checked.Mint(bytes.NewReader(rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "random")))
		if err != nil {
			t.Fatal(err)
		}
		raw := []byte(minted.Raw.Reveal())
		at := rapid.IntRange(0, len(raw)-1).Draw(t, "position")
		to := rapid.Byte().Filter(func(b byte) bool { return b != raw[at] }).Draw(t, "character")
		raw[at] = to
		if checked.Valid(string(raw)) {
			t.Fatalf("%q is valid", raw)
		}
	})
}

func TestOnlyTheCanonicalSpellingOfAKeyIsValid(t *testing.T) {
	secret := strings.Repeat("s", 43)
	good := encodePair(uuid4 + ":" + secret)
	key, err := plain.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	opaque := key.Raw.Reveal()
	tests := []struct {
		name   string
		format *credential.Format
		raw    string
		want   bool
	}{
		{"a pair", pair, good, true},
		{"a pair with a short imported secret", pair, encodePair(uuid4 + ":" + strings.Repeat("_", 16)), true},
		{"a pair with the longest imported secret", pair, encodePair(uuid4 + ":" + strings.Repeat("-", 72)), true},
		{"a pair with too short a secret", pair, encodePair(uuid4 + ":" + strings.Repeat("s", 15)), false},
		{"a pair with too long a secret", pair, encodePair(uuid4 + ":" + strings.Repeat("s", 73)), false},
		{"a pair with no secret", pair, encodePair(uuid4 + ":"), false},
		{"a pair with a space in its secret", pair, encodePair(uuid4 + ":" + strings.Repeat("s", 42) + " "), false},
		{"a pair with an upper-case uuid", pair, encodePair(strings.ToUpper(uuid4) + ":" + secret), false},
		{"a pair with a uuid of version 1", pair, encodePair("0b7ff0d6-3f0a-1c6e-9d4e-5a1c2b3d4e5f:" + secret), false},
		{"a pair with a uuid of another variant", pair, encodePair("0b7ff0d6-3f0a-4c6e-cd4e-5a1c2b3d4e5f:" + secret), false},
		{"a pair without padding", pair, strings.TrimRight(good, "="), false},
		{"a pair with more padding", pair, good + "=", false},
		{"a pair with a line end", pair, good[:40] + "\n" + good[40:], false},
		{"a pair with line ends that keep its length whole", pair, good[:40] + "\r\n\r\n" + good[40:], false},
		{"a pair with other last bits", pair, respellLastBits(good), false},
		{"a bare secret", pair, secret, false},
		{"nothing as a pair", pair, "", false},
		{"an opaque key", plain, opaque, true},
		{"an opaque key of another prefix", plain, "art_test_" + opaque[9:], false},
		{"an opaque key with one more character", plain, opaque + "0", false},
		{"an opaque key with one character less", plain, opaque[:len(opaque)-1], false},
		{"an opaque key with a character outside base62", plain, opaque[:len(opaque)-1] + "-", false},
		{"nothing as an opaque key", plain, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.format.Valid(test.raw); got != test.want {
				t.Fatalf("valid is %v, want %v", got, test.want)
			}
		})
	}
}

// respellLastBits changes the bits of the last character that the decoder drops.
func respellLastBits(encoded string) string {
	body := strings.TrimRight(encoded, "=")
	last := body[len(body)-1]
	return body[:len(body)-1] + string(last+1) + encoded[len(body):]
}

func TestMintRefusesWhatCannotBeLookedUp(t *testing.T) {
	tests := []struct {
		name   string
		format credential.Format
	}{
		{"an opaque key kept by bcrypt", credential.Format{Layout: credential.Opaque, Hash: credential.Bcrypt}},
		{"a pair kept by an unknown hash", credential.Format{Layout: credential.Pair, Hash: "md5"}},
		{"an unknown layout", credential.Format{Layout: 9, Hash: credential.SHA256}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := test.format.Mint(rand.Reader); err == nil {
				t.Fatal("minted")
			}
		})
	}
	if _, err := checked.Mint(iotest.ErrReader(iotest.ErrTimeout)); err == nil {
		t.Fatal("minted without randomness")
	}
}

func TestReadingACredentialDoesNotAllocate(t *testing.T) {
	opaque, err := checked.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	double, err := pair.Mint(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, two := opaque.Raw.Reveal(), double.Raw.Reveal()
	sources := []credential.Source{header, session, bearer}
	fields := []credential.Field{field("cookie", "a=1; b=2"), field("authorization", "Bearer "+key)}
	allocations := testing.AllocsPerRun(100, func() {
		found, why := credential.Extract(sources, fields)
		if why != reason.Unset || credential.LooksLikeToken(found.Raw) || !checked.Valid(found.Raw) || !pair.Valid(two) || pair.Valid(key) {
			t.Fatal("not found or not valid")
		}
	})
	if allocations != 0 {
		t.Fatalf("%v allocations", allocations)
	}
}

func FuzzFormat(f *testing.F) {
	for _, format := range []*credential.Format{checked, plain, pair} {
		minted, err := format.Mint(rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(minted.Raw.Reveal())
	}
	f.Add(encodePair(uuid4 + ":" + strings.Repeat("s", 16)))
	f.Add(encodePair(uuid4+":"+strings.Repeat("s", 43)) + "\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		for _, format := range []*credential.Format{checked, plain} {
			if format.Valid(raw) && (!strings.HasPrefix(raw, format.Prefix) || strings.TrimSpace(raw) != raw) {
				t.Fatalf("%q is valid", raw)
			}
			if _, _, ok := format.Split(raw); ok {
				t.Fatalf("an opaque key was split: %q", raw)
			}
		}
		id, secret, ok := pair.Split(raw)
		if ok != pair.Valid(raw) {
			t.Fatalf("valid and split disagree on %q", raw)
		}
		if ok && encodePair(string(id)+":"+secret) != raw {
			t.Fatalf("%q is another spelling of its parts", raw)
		}
	})
}
