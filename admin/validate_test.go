package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/admin"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/store"
)

func TestValidationNamesTheFieldTheProblemAndTheRemedy(t *testing.T) {
	h := open(t)
	h.settle(t)
	ctx := t.Context()
	long, wide := strings.Repeat("x", 201), strings.Repeat("p", 65)
	organization := func(n admin.NewOrganization) func() error {
		return func() error { _, err := h.CreateOrganization(ctx, by, n); return err }
	}
	user := func(n admin.NewUser) func() error {
		return func() error { _, err := h.CreateUser(ctx, by, n); return err }
	}
	key := func(n admin.NewKey) func() error {
		return func() error { _, err := h.CreateKey(ctx, by, n); return err }
	}
	resource := func(n admin.NewResource) func() error {
		return func() error { _, err := h.CreateResource(ctx, by, n); return err }
	}
	topUp := func(amount identity.Credits) func() error {
		return func() error { _, err := h.TopUp(ctx, by, "o1", amount, ""); return err }
	}
	check := func(r admin.Request) func() error {
		return func() error { _, err := h.Check(ctx, r); return err }
	}
	page := func(p admin.Paging) func() error {
		return func() error { _, _, err := h.ListKeys(ctx, admin.KeyQuery{}, p); return err }
	}
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"a slug is required":               {organization(admin.NewOrganization{}), "slug: is missing; use 1 to 63 of a-z 0-9 -, such as my-org"},
		"a slug has no capitals":           {organization(admin.NewOrganization{Slug: "My"}), "slug: is not a slug; use 1 to 63 of a-z 0-9 -, not beginning with a hyphen"},
		"a slug begins with no hyphen":     {organization(admin.NewOrganization{Slug: "-a"}), "slug: is not a slug; use 1 to 63 of a-z 0-9 -, not beginning with a hyphen"},
		"a slug is at most 63 long":        {organization(admin.NewOrganization{Slug: identity.OrgSlug(strings.Repeat("a", 64))}), "slug: is not a slug; use 1 to 63 of a-z 0-9 -, not beginning with a hyphen"},
		"an id has no slash":               {organization(admin.NewOrganization{Slug: "a", ID: "a/b"}), "id: is not an identifier; use 1 to 64 of A-Z a-z 0-9 _ . : -"},
		"an id is at most 64 long":         {user(admin.NewUser{ID: identity.UserID(wide)}), "id: is not an identifier; use 1 to 64 of A-Z a-z 0-9 _ . : -"},
		"a name is at most 200 long":       {organization(admin.NewOrganization{Slug: "a", Name: long}), "name: is too long; use at most 200 characters"},
		"a name has no line break":         {organization(admin.NewOrganization{Slug: "a", Name: "a\nb"}), "name: has a control character; leave line breaks and the like out"},
		"a name is UTF-8":                  {organization(admin.NewOrganization{Slug: "a", Name: "\xff"}), "name: is not UTF-8; encode it as UTF-8"},
		"a plan has no comma":              {organization(admin.NewOrganization{Slug: "a", Plan: "a,b"}), "plan: has a character that is not allowed, or is too long; use at most 64 visible ASCII characters without a comma"},
		"a foreign user has a subject":     {user(admin.NewUser{Issuer: "https://i"}), "subject: is missing; name the sub of the user's tokens of that issuer"},
		"an address has an @":              {user(admin.NewUser{Email: "ann"}), "email: is not an address; use the form name@host, or leave it out"},
		"a key has a profile":              {key(admin.NewKey{Org: "o1"}), "profile: is missing; name one of the server's profiles"},
		"a key's profile is known":         {key(admin.NewKey{Org: "o1", Profile: "none"}), `profile: there is no profile "none"; name one of the server's profiles`},
		"a key's profile has keys":         {key(admin.NewKey{Org: "o1", Profile: "artos"}), `profile: "artos" has no API keys; use a profile that has, or issue a token`},
		"a key has an organization":        {key(admin.NewKey{Profile: "authenta"}), "organization_id: is missing; name an identifier"},
		"a key's organization is there":    {key(admin.NewKey{Profile: "authenta", Org: "none"}), `organization_id: there is no organization with the id "none"; create it first`},
		"a key's user is a member":         {key(admin.NewKey{Profile: "authenta", Org: "o1", User: "u2"}), `user_id: the user "u2" is not a member of the organization "o1"; add the user to it first`},
		"a permission has no comma":        {key(admin.NewKey{Profile: "authenta", Org: "o1", Permissions: []string{"a", "b,c"}}), "permissions[1]: has a character that is not allowed, or is too long; use at most 64 visible ASCII characters without a comma"},
		"a permission is at most 64 long":  {key(admin.NewKey{Profile: "authenta", Org: "o1", Permissions: []string{wide}}), "permissions[0]: has a character that is not allowed, or is too long; use at most 64 visible ASCII characters without a comma"},
		"a permission is not empty":        {key(admin.NewKey{Profile: "authenta", Org: "o1", Permissions: []string{""}}), "permissions[0]: is missing; leave it out"},
		"permissions are at most 64":       {key(admin.NewKey{Profile: "authenta", Org: "o1", Permissions: slices.Repeat([]string{"p"}, 65)}), "permissions: has 65 entries; use at most 64"},
		"a key ends in the future":         {key(admin.NewKey{Profile: "authenta", Org: "o1", Expiry: admin.ExpireAt(h.now.Add(-time.Second))}), "expire_time: is not in the future; choose a later one"},
		"a key's life is no negative time": {key(admin.NewKey{Profile: "authenta", Org: "o1", Expiry: admin.ExpireIn(-time.Hour)}), "ttl: is not in the future; choose a later one"},
		"a key's life is no eternity":      {key(admin.NewKey{Profile: "authenta", Org: "o1", Expiry: admin.ExpireIn(1<<63 - 1)}), "ttl: is beyond the longest life; end at 2129-12-09T03:04:05Z at the latest"},
		"a resource's kind is a slug":      {resource(admin.NewResource{Kind: "A", Slug: "a", Org: "o1"}), "kind: is not a slug; use 1 to 63 of a-z 0-9 -, not beginning with a hyphen"},
		"credits are added, not taken":     {topUp(-1), "amount: is out of range; use 1 to 1000000000000"},
		"credits are some":                 {topUp(0), "amount: is out of range; use 1 to 1000000000000"},
		"credits are not endless":          {topUp(1_000_000_000_001), "amount: is out of range; use 1 to 1000000000000"},
		"a page is at most 1000":           {page(admin.Paging{Size: 1001}), "page_size: is out of range; use 1 to 1000, or 0 for 100"},
		"a page is no negative number":     {page(admin.Paging{Size: -1}), "page_size: is out of range; use 1 to 1000, or 0 for 100"},
		"a page token comes from a page":   {page(admin.Paging{Token: "x"}), "page_token: is not one that this list returned; use the next_page_token of the page before, or none"},
		"a check has a host or a profile":  {check(admin.Request{Path: "/"}), "host: is missing; name the host or the profile"},
		"a check's path has a slash":       {check(admin.Request{Host: "h", Path: "a"}), "path: does not begin with a slash; give the path with its query, such as /api/v1/jobs"},
		"a check's scheme is known":        {check(admin.Request{Host: "h", Path: "/", Scheme: "ftp"}), "scheme: is unknown; use http or https"},
		"a check's header has a name":      {check(admin.Request{Host: "h", Path: "/", Headers: []profile.Header{{Name: "a b", Value: "secret"}}}), "headers[0].name: is not a header name; use letters, digits and hyphens"},
		"a check's header has no break":    {check(admin.Request{Host: "h", Path: "/", Headers: []profile.Header{{Name: "a", Value: "secret\r\n"}}}), "headers[0].value: has a line break; leave it out"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.call()
			if codeOf(err) != admin.Invalid || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestEveryViolationIsToldAtOnce(t *testing.T) {
	h := open(t)
	_, err := h.CreateResource(t.Context(), by, admin.NewResource{ID: " "})
	refused, ok := errors.AsType[*admin.Error](err)
	if !ok || len(refused.Violations) != 4 {
		t.Errorf("%v, want 4 violations", err)
	}
}

func TestWhatIsLeftOutIsGenerated(t *testing.T) {
	h := open(t)
	org, err := h.CreateOrganization(t.Context(), by, admin.NewOrganization{Slug: "a"})
	must(t, err)
	user, err := h.CreateUser(t.Context(), by, admin.NewUser{})
	must(t, err)
	resource, err := h.CreateResource(t.Context(), by, admin.NewResource{Kind: "project", Slug: "p", Org: org.ID})
	must(t, err)
	for prefix, id := range map[string]string{"org_": string(org.ID), "user_": string(user.ID), "res_": string(resource.ID)} {
		if !strings.HasPrefix(id, prefix) || len(id) != len(prefix)+32 {
			t.Errorf("the id %q does not begin with %s, or is not as long as it should be", id, prefix)
		}
	}
	if org.Name != "a" || user.Subject != string(user.ID) {
		t.Errorf("the organization is %+v, the user %+v", org, user)
	}
}

func TestUnknownKeysAndTokensAreNotRepeated(t *testing.T) {
	h := open(t)
	const raw = "api_0123456789abcdef"
	_, keyErr := h.Key(t.Context(), raw)
	_, tokenErr := h.Token(t.Context(), raw)
	_, _, revokeErr := h.RevokeToken(t.Context(), by, identity.TokenRef{ID: raw})
	for _, err := range []error{keyErr, tokenErr, revokeErr} {
		if codeOf(err) != admin.NotFound || strings.Contains(err.Error(), raw) {
			t.Errorf("%v, want not found without the given text", err)
		}
	}
}

func TestServiceNeedsEveryPart(t *testing.T) {
	h := open(t)
	whole := admin.Options{
		Store: h.store, Signer: signer{}, Decider: h, Confirmer: h, Fleet: h, Usages: h, Clock: time.Now,
		Profile: func(identity.ProfileName) (*profile.Profile, bool) { return nil, false },
	}
	if _, err := admin.NewService(whole); err != nil {
		t.Fatal(err)
	}
	for name, without := range map[string]func(*admin.Options){
		"store":     func(o *admin.Options) { o.Store = nil },
		"profiles":  func(o *admin.Options) { o.Profile = nil },
		"signer":    func(o *admin.Options) { o.Signer = nil },
		"decider":   func(o *admin.Options) { o.Decider = nil },
		"confirmer": func(o *admin.Options) { o.Confirmer = nil },
		"fleet":     func(o *admin.Options) { o.Fleet = nil },
		"usages":    func(o *admin.Options) { o.Usages = nil },
		"clock":     func(o *admin.Options) { o.Clock = nil },
	} {
		o := whole
		without(&o)
		if _, err := admin.NewService(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without the %s: %v", name, err)
		}
	}
}

var _ admin.Store = store.Store(nil)
