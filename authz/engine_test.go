package authz_test

import (
	"context"
	"testing"
	"time"

	"postern/authz"
	"postern/authz/identity"
	"postern/authz/reason"
	"postern/authz/token"
)

func TestTheFirstCheckThatFailsAnswers(t *testing.T) {
	w := newWorld(t)
	all := w.key(t, "shop", nil)
	reader := w.key(t, "shop", func(k *identity.Key) { k.Grants = identity.NewGrants("READ") })
	bearer := func(raw string) []string { return []string{"authorization", "Bearer " + raw} }
	with := func(change func(*identity.Key)) []string { return bearer(w.key(t, "shop", change)) }
	holder := func(id string, change func(*token.Claims)) []string { return bearer(w.token("shop", id, change)) }
	tests := []struct {
		what, method, target string
		headers              []string
		want                 reason.Reason
	}{
		{"a method nobody knows", "TRACE", "/status", nil, reason.MethodNotAllowed},
		{"a path trick before a missing credential", "GET", "/status/../free", nil, reason.BadRequest},
		{"an upgrade the route does not admit", "GET", "/free", append(bearer(all), "upgrade", "websocket"), reason.BadRequest},
		{"an upgrade the route admits", "GET", "/socket", append(bearer(all), "upgrade", "websocket"), reason.Allowed},
		{"the public route without a credential", "GET", "/status", nil, reason.Public},
		{"the public route with a bad credential", "GET", "/status", bearer("shop_nonsense"), reason.Public},
		{"the public path with a slash", "GET", "/status/", nil, reason.MissingCredential},
		{"the public path by another method", "POST", "/status", nil, reason.MissingCredential},
		{"an unknown path is never public", "GET", "/statusX", nil, reason.MissingCredential},
		{"no credential", "GET", "/free", nil, reason.MissingCredential},
		{"another scheme", "GET", "/free", []string{"authorization", "Basic eDp5"}, reason.MissingCredential},
		{"two credentials in one header", "GET", "/free", bearer(all + ",Bearer " + all), reason.MalformedCredential},
		{"two headers", "GET", "/free", append(bearer(all), bearer(all)...), reason.MalformedCredential},
		{"a typo that the checksum finds", "GET", "/free", bearer(all[:len(all)-1] + flip(all[len(all)-1])), reason.MalformedCredential},
		{"an unknown key", "GET", "/free", bearer(mintOnly(t, w)), reason.InvalidCredential},
		{"an unknown token", "GET", "/free", bearer("eyJ.none.x"), reason.InvalidCredential},
		{"another profile's key record", "GET", "/free", with(func(k *identity.Key) { k.Profile = "slugs" }), reason.InvalidCredential},
		{"revoked before expired", "GET", "/free", with(func(k *identity.Key) { k.RevokedAt, k.ExpiresAt = w.now, w.now }), reason.Revoked},
		{"disabled before expired", "GET", "/free", with(func(k *identity.Key) { k.Disabled, k.ExpiresAt = true, w.now }), reason.Disabled},
		{"expired at its very moment", "GET", "/free", with(func(k *identity.Key) { k.ExpiresAt = w.now }), reason.Expired},
		{"a moment before it expires", "GET", "/free", with(func(k *identity.Key) { k.ExpiresAt = w.now.Add(1) }), reason.Allowed},
		{"another environment", "GET", "/free", with(func(k *identity.Key) { k.Environment = "staging" }), reason.WrongEnvironment},
		{"no environment where one is asked for", "GET", "/free", with(func(k *identity.Key) { k.Environment = "" }), reason.WrongEnvironment},
		{"expired before organization", "GET", "/free", with(func(k *identity.Key) { k.ExpiresAt, k.Org = w.now, "off" }), reason.Expired},
		{"a disabled organization", "GET", "/free", with(func(k *identity.Key) { k.Org = "off" }), reason.OrganizationDisabled},
		{"an organization that is gone", "GET", "/free", with(func(k *identity.Key) { k.Org = "nowhere" }), reason.NoOrganization},
		{"a key of a user who was switched off", "GET", "/free", with(func(k *identity.Key) { k.User = "gone" }), reason.NoOrganization},
		{"a key of a user nobody knows", "GET", "/free", with(func(k *identity.Key) { k.User = "nobody" }), reason.NoOrganization},
		{"a key of a user who left", "GET", "/free", with(func(k *identity.Key) { k.User, k.Org = "ada", "o2" }), reason.NoOrganization},
		{"a key of a member", "GET", "/free", with(func(k *identity.Key) { k.User = "ada" }), reason.Allowed},
		{"the organization of the path", "GET", "/orgs/o1/x", bearer(all), reason.Allowed},
		{"another organization in the path", "GET", "/orgs/o2/x", bearer(all), reason.WrongOrganization},
		{"the organization in another case", "GET", "/orgs/O1/x", bearer(all), reason.WrongOrganization},
		{"the organization encoded", "GET", "/orgs/%6f1/x", bearer(all), reason.BadRequest},
		{"the route encoded", "GET", "/%6frgs/o2/x", bearer(all), reason.BadRequest},
		{"the route in another case", "GET", "/Orgs/o2/x", bearer(all), reason.BadRequest},
		{"wrong organization before permission", "POST", "/orgs/o2/x", bearer(reader), reason.WrongOrganization},
		{"an own project", "GET", "/projects?project=mine", bearer(all), reason.Allowed},
		{"an own project by id", "GET", "/projects/p1", bearer(all), reason.Allowed},
		{"no project", "GET", "/projects", bearer(all), reason.Allowed},
		{"another's project", "GET", "/projects?project=theirs", bearer(all), reason.ResourceForeign},
		{"a project that is nowhere", "GET", "/projects?project=nothing", bearer(all), reason.ResourceNotFound},
		{"an empty project", "GET", "/projects?project=", bearer(all), reason.ResourceNotFound},
		{"two projects", "GET", "/projects?project=mine&project=theirs", bearer(all), reason.BadRequest},
		{"a project in disguise", "GET", "/projects?Project=theirs", bearer(all), reason.BadRequest},
		{"no permission", "DELETE", "/free", bearer(reader), reason.Forbidden},
		{"no permission before credits", "POST", "/jobs", bearer(reader), reason.Forbidden},
		{"a metered route", "POST", "/jobs", bearer(all), reason.Allowed},
		{"a metered route with a slash is metered", "POST", "/jobs/", bearer(all), reason.Allowed},
		{"the administrator key on its route", "GET", "/admin", bearer(adminKey), reason.Allowed},
		{"the administrator key elsewhere", "GET", "/free", bearer(adminKey), reason.Forbidden},
		{"a key that is nearly the administrator's", "GET", "/admin", bearer(adminKey + "x"), reason.MalformedCredential},
		{"a key on the administrator's route", "GET", "/admin", bearer(all), reason.Forbidden},
		{"a withdrawn token", "GET", "/orgs/o1/x", holder("withdrawn", nil), reason.Revoked},
		{"a token of a user who was switched off", "GET", "/free", holder("t", func(c *token.Claims) { c.Subject = "sub-gone" }), reason.NoOrganization},
		{"a token of a user nobody knows", "GET", "/free", holder("t", func(c *token.Claims) { c.Subject = "sub-new" }), reason.NoOrganization},
		{"a token without an organization", "GET", "/free", holder("t", func(c *token.Claims) { c.Org = "" }), reason.NoOrganization},
		{"a token for an organization its user left", "GET", "/free", holder("t", func(c *token.Claims) { c.Org = "o2" }), reason.NoOrganization},
		{"a member's token has the membership's grants", "GET", "/free", holder("t", nil), reason.Allowed},
		{"and no others", "DELETE", "/free", holder("t", nil), reason.Forbidden},
		{"a token in the cookie", "GET", "/free", []string{"cookie", "a=b; session=" + w.token("shop", "t", nil)}, reason.Allowed},
		{"the first source decides", "GET", "/free", append(bearer("shop_bad"), "cookie", "session="+w.token("shop", "t", nil)), reason.MalformedCredential},
	}
	for _, test := range tests {
		in := request("shop.example", test.method, test.target, test.headers...)
		if d := w.both(t, in); d.Reason != test.want {
			t.Errorf("%s: %v, want %v", test.what, d.Reason, test.want)
		} else if d.Reason.Allows() != (d.Answer == nil) {
			t.Errorf("%s: %v with the answer %v", test.what, d.Reason, d.Answer)
		}
	}
	if len(w.account.charged) != 2 || w.account.balance != 94 {
		t.Errorf("charged %d times, balance %d: only what was allowed is charged", len(w.account.charged), w.account.balance)
	}
}

func flip(c byte) string {
	if c == 'a' {
		return "b"
	}
	return "a"
}

func mintOnly(t *testing.T, w *world) string {
	raw := w.key(t, "shop", nil)
	delete(w.keys.records, identity.DigestOf(raw))
	return raw
}

func TestTheSlugAndTheCredentialMustAgree(t *testing.T) {
	w := newWorld(t)
	key := w.key(t, "slugs", nil)
	session := w.token("slugs", "t", func(c *token.Claims) { c.Org = "" })
	for what, test := range map[string]struct {
		headers []string
		want    reason.Reason
	}{
		"a key with its organization's slug":      {[]string{"x-api-key", key, "x-org-slug", "one"}, reason.Allowed},
		"a key with another's slug":               {[]string{"x-api-key", key, "x-org-slug", "two"}, reason.WrongOrganization},
		"a key with a slug that is nowhere":       {[]string{"x-api-key", key, "x-org-slug", "none"}, reason.WrongOrganization},
		"a key with the slug in another case":     {[]string{"x-api-key", key, "x-org-slug", "One"}, reason.WrongOrganization},
		"a key without a slug":                    {[]string{"x-api-key", key}, reason.NoOrganization},
		"a key with two slugs":                    {[]string{"x-api-key", key, "x-org-slug", "one", "x-org-slug", "two"}, reason.WrongOrganization},
		"a key with slugs joined":                 {[]string{"x-api-key", key, "x-org-slug", "one,two"}, reason.WrongOrganization},
		"a session of a member":                   {[]string{"authorization", "Bearer " + session, "x-org-slug", "one"}, reason.Allowed},
		"a session of nobody there":               {[]string{"authorization", "Bearer " + session, "x-org-slug", "two"}, reason.NoOrganization},
		"a session and a bad key: the key counts": {[]string{"x-api-key", "sl_bad", "authorization", "Bearer " + session, "x-org-slug", "one"}, reason.MalformedCredential},
	} {
		if d := w.both(t, request("slugs.example", "GET", "/x", test.headers...)); d.Reason != test.want {
			t.Errorf("%s: %v, want %v", what, d.Reason, test.want)
		} else if d.Reason.Allows() && (d.Principal.Org != "o1" || d.Principal.OrgSlug != "one") {
			t.Errorf("%s: the organization is %q %q", what, d.Principal.Org, d.Principal.OrgSlug)
		}
	}
}

func TestPlainHTTPIsRefusedWhereHTTPSIsRequired(t *testing.T) {
	w := newWorld(t)
	for what, test := range map[string]struct {
		headers []string
		want    reason.Reason
	}{
		"https":            {[]string{"x-forwarded-proto", "https"}, reason.Public},
		"http":             {[]string{"x-forwarded-proto", "http"}, reason.HTTPSRequired},
		"not said":         {nil, reason.HTTPSRequired},
		"said twice":       {[]string{"x-forwarded-proto", "https", "x-forwarded-proto", "https"}, reason.HTTPSRequired},
		"said in one line": {[]string{"x-forwarded-proto", "https,http"}, reason.HTTPSRequired},
	} {
		if d := w.both(t, request("locked.example", "GET", "/status", test.headers...)); d.Reason != test.want {
			t.Errorf("%s: %v, want %v", what, d.Reason, test.want)
		}
	}
}

func TestAHostThatNoProfileServesIsRefused(t *testing.T) {
	w := newWorld(t)
	for _, host := range []string{"", "other.example", "shop.example.evil", "shop.example@evil", "shop.example,locked.example"} {
		if d := w.both(t, request(host, "GET", "/status")); d.Reason != reason.NoProfile || d.Answer == nil {
			t.Errorf("%q: %v", host, d.Reason)
		}
	}
	in := request("shop.example", "GET", "/status")
	if in.Profile = "none"; w.both(t, in).Reason != reason.NoProfile {
		t.Error("a named profile that does not exist falls back to the host")
	}
	if in.Host, in.Profile = "locked.example", "shop"; w.both(t, in).Reason != reason.Public {
		t.Error("the named profile does not go before the host")
	}
}

func TestDecideAsksForIOWhereItCannotTell(t *testing.T) {
	w := newWorld(t)
	raw := w.key(t, "shop", nil)
	in := request("shop.example", "GET", "/free", "authorization", "Bearer "+raw)
	var d authz.Decision
	if v := w.Decide(&in, &d); v != authz.Allow {
		t.Errorf("cached: %v", v)
	}
	w.orgs.cold = true
	if v := w.Decide(&in, &d); v != authz.NeedIO || w.orgs.loads != 0 {
		t.Errorf("not cached: %v after %d loads", v, w.orgs.loads)
	}
	if v := w.Resolve(t.Context(), in.Own(), &d); v != authz.Allow || w.orgs.loads != 1 {
		t.Errorf("resolved: %v after %d loads", v, w.orgs.loads)
	}
	metered := request("shop.example", "POST", "/jobs", "authorization", "Bearer "+raw)
	w.orgs.cold = false
	if v := w.Decide(&metered, &d); v != authz.NeedIO || len(w.account.charged) != 0 {
		t.Errorf("metered: %v after %d debits", v, len(w.account.charged))
	}
}

func TestARequestOverItsDeadlineIsNotCharged(t *testing.T) {
	w := newWorld(t)
	in := request("shop.example", "POST", "/jobs", "authorization", "Bearer "+w.key(t, "shop", nil))
	var d authz.Decision
	late, cancel := context.WithCancel(t.Context())
	cancel()
	if w.Resolve(late, in.Own(), &d); d.Reason != reason.Unavailable || len(w.account.charged) != 0 {
		t.Errorf("late before the debit: %v, %d debits", d.Reason, len(w.account.charged))
	}
	late, cancel = context.WithCancel(t.Context())
	w.account.during = cancel
	if w.Resolve(late, in.Own(), &d); d.Reason != reason.Unavailable || d.Charged != 0 || w.account.balance != 100 || len(w.account.released) != 1 {
		t.Errorf("late during the debit: %v, balance %d, %d released", d.Reason, w.account.balance, len(w.account.released))
	}
}

func TestADryRunDebitsNothing(t *testing.T) {
	w := newWorld(t)
	in := request("shop.example", "POST", "/jobs", "authorization", "Bearer "+w.key(t, "shop", nil))
	in.DryRun = true
	if d := w.both(t, in); d.Reason != reason.Allowed || w.account.balance != 100 {
		t.Errorf("%v, balance %d", d.Reason, w.account.balance)
	}
	w.account.balance = 2
	if d := w.both(t, in); d.Reason != reason.InsufficientCredits {
		t.Errorf("%v with 2 credits", d.Reason)
	}
}

func TestAPanicIsADenialAndIsReported(t *testing.T) {
	w := newWorld(t)
	in := request("shop.example", "GET", "/free", "authorization", "Bearer "+w.key(t, "shop", nil))
	w.orgs.records["o1"] = nil
	var d authz.Decision
	w.keys.records = map[identity.Digest]*identity.Key{identity.DigestOf(in.Headers[0].Value[7:]): nil}
	if v := w.Decide(&in, &d); v != authz.Deny || d.Reason != reason.Internal || d.Answer.Status != 500 || w.panics != 1 || len(d.Set) != 0 {
		t.Errorf("%v, %v, %d panics", v, d.Reason, w.panics)
	}
}

func TestACachedDecisionCostsNoAllocation(t *testing.T) {
	w := newWorld(t)
	raw := w.key(t, "shop", func(k *identity.Key) { k.User = "ada" })
	session := w.token("shop", "t", nil)
	for what, in := range map[string]authz.Input{
		"a key":    request("shop.example", "GET", "/projects?project=mine", "authorization", "Bearer "+raw, "x_org_id", "evil", "accept", "*/*"),
		"a token":  request("shop.example", "GET", "/orgs/o1/x", "authorization", "Bearer "+session),
		"public":   request("shop.example", "GET", "/status"),
		"a denial": request("shop.example", "DELETE", "/free", "authorization", "Bearer "+session),
	} {
		var d authz.Decision
		w.Decide(&in, &d)
		if n := testing.AllocsPerRun(1000, func() { w.Decide(&in, &d) }); n != 0 {
			t.Errorf("%s: %v allocations (%v)", what, n, d.Reason)
		}
	}
}

func TestOverloadIsADenialAtOnce(t *testing.T) {
	w := newWorld(t)
	engine, err := authz.NewEngine(w.Snapshot(), authz.Ports{
		Keys: memoryKeys{w.keys}, Organizations: w.orgs, Slugs: w.slugs, Users: w.users, Subjects: w.subjects,
		Memberships: w.memberships, TokenStates: w.states, Resources: w.resources, Ledger: w.account,
	}, authz.Options{Clock: time.Now, MaxResolves: 1})
	if err != nil {
		t.Fatal(err)
	}
	in := request("shop.example", "POST", "/jobs", "authorization", "Bearer "+w.key(t, "shop", nil))
	var inner authz.Decision
	w.account.during = func() { engine.Resolve(t.Context(), in.Own(), &inner) }
	var outer authz.Decision
	engine.Resolve(t.Context(), in.Own(), &outer)
	if inner.Reason != reason.Overloaded || inner.Answer.Status != 503 || outer.Reason != reason.Allowed {
		t.Errorf("the second %v, the first %v", inner.Reason, outer.Reason)
	}
}
