package authz_test

import (
	"slices"
	"strings"
	"testing"

	"postern/authz"
	"postern/authz/reason"
)

func TestEveryAllowSetsOrRemovesEveryIdentityHeader(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "shop", nil)
	spoofed := []string{
		"x-org-id", "evil", "x_org_id", "evil", "x-org_id", "evil", "x.org.id", "evil", "x-org-id.", "evil", "x--org---id", "evil",
		"x-user-id", "evil", "x-permissions", "evil", "x-auth-method", "evil", "x-project-id", "evil", "x-http-method-override", "DELETE",
		"x-other", "kept", "x_other", "kept",
	}
	for what, in := range map[string]authz.Input{
		"a public route": request("shop.example", "GET", "/status", append(spoofed, "authorization", "Bearer "+key)...),
		"a key":          request("shop.example", "GET", "/projects?project=mine", append(spoofed, "authorization", "Bearer "+key)...),
	} {
		d := w.both(t, in)
		if !d.Reason.Allows() {
			t.Fatalf("%s: %v", what, d.Reason)
		}
		left := map[string]string{}
		for _, f := range in.Headers {
			left[f.Name] = f.Value
		}
		for _, h := range d.Set {
			left[h.Name] = h.Value
		}
		for _, name := range d.Remove {
			if slices.ContainsFunc(d.Set, func(h profileHeader) bool { return h.Name == name }) {
				t.Errorf("%s: %q is both set and removed, which removes it", what, name)
			}
			delete(left, name)
		}
		for name, value := range left {
			if value == "evil" || value == "DELETE" || strings.Contains(value, key) {
				t.Errorf("%s: %s: %s reaches the upstream", what, name, value)
			}
		}
		if left["x-other"] != "kept" || left["x_other"] != "kept" {
			t.Errorf("%s: headers that are no aliases are gone: %v", what, left)
		}
		if what == "a key" && (left["x-org-id"] != "o1" || left["x-org-slug"] != "one" || left["x-permissions"] != "READ,WRITE,DELETE" ||
			left["x-auth-method"] != "api_key" || left["x-project-id"] != "p1" || left["x-key-id"] == "") {
			t.Errorf("the upstream receives %v", left)
		}
	}
}

func TestOfWhatTheGatewayHasStrippedOnlyWhatItLeftIsRemoved(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "shop", nil)
	for stripped, want := range map[bool]bool{true: false, false: true} {
		in := request("shop.example", "GET", "/status", "authorization", "Bearer "+key, "x.user.id", "evil", "x-original-url", "/evil")
		in.Stripped = stripped
		d := w.both(t, in)
		if d.Reason != reason.Public {
			t.Fatalf("stripped is %v: %v", stripped, d.Reason)
		}
		for _, name := range []string{"authorization", "x.user.id", "x-original-url"} {
			if !slices.Contains(d.Remove, name) {
				t.Errorf("stripped is %v: %q was received, and removed is only %q", stripped, name, d.Remove)
			}
		}
		if slices.Contains(d.Remove, "x-user-id") != want {
			t.Errorf("stripped is %v: removed is %q", stripped, d.Remove)
		}
	}
}

func TestACredentialCookieIsTakenOutAndTheOthersStay(t *testing.T) {
	w := newWorld(t)
	session := w.token("shop", "t", nil)
	d := w.both(t, request("shop.example", "GET", "/free", "cookie", "a=1; session="+session+"; b=2"))
	if d.Reason != reason.Allowed || !slices.Contains(d.Set, profileHeader{Name: "cookie", Value: "a=1; b=2"}) {
		t.Errorf("%v, set %v", d.Reason, d.Set)
	}
	d = w.both(t, request("shop.example", "GET", "/status", "cookie", "session="+session))
	if d.Reason != reason.Public || !slices.Contains(d.Remove, "cookie") {
		t.Errorf("%v, removed %v", d.Reason, d.Remove)
	}
}
