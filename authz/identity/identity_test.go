package identity_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"postern/authz/identity"
)

func TestASecretIsNotShownWhereverItIsPrinted(t *testing.T) {
	secret := identity.NewSecret("hunter2")
	holder := struct{ Key identity.Secret }{secret}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", secret, "holder", holder)
	shown := strings.Join([]string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q", holder, holder, holder, secret, secret), string(text), log.String(),
	}, "\n")
	if strings.Contains(shown, "hunter2") {
		t.Errorf("it is shown:\n%s", shown)
	}
	if secret.Reveal() != "hunter2" || secret.IsZero() || !(identity.Secret{}).IsZero() {
		t.Error("it does not hold its text")
	}
}

func TestADigestIsTheSHA256AndSurvivesJSON(t *testing.T) {
	for _, text := range []string{"", "a", strings.Repeat("long", 100)} {
		digest := identity.DigestOf(text)
		if digest != identity.Digest(sha256.Sum256([]byte(text))) {
			t.Errorf("the digest of %q is %v", text, digest)
		}
		encoded, err := json.Marshal(digest)
		if err != nil {
			t.Fatal(err)
		}
		var back identity.Digest
		if err := json.Unmarshal(encoded, &back); err != nil || back != digest {
			t.Errorf("%s comes back as %v, %v", encoded, back, err)
		}
	}
	var d identity.Digest
	for _, bad := range []string{`""`, `"00"`, `"` + strings.Repeat("zz", 32) + `"`} {
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s is taken for a digest", bad)
		}
	}
	if n := testing.AllocsPerRun(100, func() { identity.DigestOf("a credential of more than thirty-two characters") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGrantsAreAnOrderedSet(t *testing.T) {
	g := identity.NewGrants("b", "", "a", "b")
	if g.String() != "b,a" || len(g.List()) != 2 || !g.Has("a") || g.Has("A") || g.Has("") {
		t.Errorf("got %q", g)
	}
	encoded, err := json.Marshal(g)
	if err != nil || string(encoded) != `["b","a"]` {
		t.Errorf("as JSON: %s, %v", encoded, err)
	}
	var back identity.Grants
	if err := json.Unmarshal(encoded, &back); err != nil || back.String() != "b,a" {
		t.Errorf("back: %q, %v", back, err)
	}
	if empty, _ := json.Marshal(identity.Grants{}); string(empty) != "[]" {
		t.Errorf("none as JSON: %s", empty)
	}
}
