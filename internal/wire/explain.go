package wire

import (
	"context"
	"net/http"
	"strings"

	"postern/admin"
	"postern/admin/keyapi"
	"postern/authz"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/store"
)

// decider lets the management API ask the engine without effect.
type decider struct{ engine *authz.Engine }

// Explain decides as a Check would and debits nothing.
func (d decider) Explain(ctx context.Context, r admin.Request) (admin.Explanation, error) {
	in := authz.Input{
		Profile: string(r.Profile), Method: r.Method, Path: r.Path, Host: r.Host, DryRun: true,
		Headers: make([]authz.Field, 0, len(r.Headers)+1),
	}
	forwarded := false
	for _, h := range r.Headers {
		in.Headers = append(in.Headers, authz.Field{Name: h.Name, Value: h.Value})
		forwarded = forwarded || h.Name == "x-forwarded-proto"
	}
	if !forwarded {
		in.Headers = append(in.Headers, authz.Field{Name: "x-forwarded-proto", Value: r.Scheme})
	}
	var out authz.Decision
	verdict := d.engine.Resolve(ctx, in.Own(), &out)
	if err := ctx.Err(); err != nil {
		return admin.Explanation{}, err
	}
	p := &out.Principal
	explained := admin.Explanation{
		Allow: verdict == authz.Allow, Reason: out.Reason, Answer: out.Answer,
		Set: out.Set, Remove: out.Remove,
		Caller: admin.Caller{Method: p.Method, Org: p.Org, OrgSlug: p.OrgSlug, User: p.User, Key: p.Key, Grants: p.Grants},
	}
	if out.Profile != nil {
		explained.Profile = out.Profile.Name
	}
	if out.Route != nil {
		explained.Route, explained.Cost = out.Route.Pattern, out.Route.Cost
	}
	return explained, nil
}

// authorizer asks the engine about a request that reached the management
// listener, by the credential it brings.
type authorizer struct{ engine *authz.Engine }

// Authorize decides under the named profile. The hop from the gateway is inside
// the house, so it does not count as the client's plain HTTP.
func (a authorizer) Authorize(ctx context.Context, r *http.Request, name identity.ProfileName) (store.Actor, *keyapi.Denied) {
	in := authz.Input{Profile: string(name), Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host}
	if r.RequestURI != "" {
		in.Path = r.RequestURI // as it was sent
	}
	for header, values := range r.Header {
		for _, value := range values {
			in.Headers = append(in.Headers, authz.Field{Name: strings.ToLower(header), Value: value})
		}
	}
	if r.Header.Get("X-Forwarded-Proto") == "" {
		in.Headers = append(in.Headers, authz.Field{Name: "x-forwarded-proto", Value: "https"})
	}
	var out authz.Decision
	if a.engine.Resolve(ctx, in.Own(), &out) == authz.Allow {
		return actorOf(&out.Principal), nil
	}
	return "", &keyapi.Denied{Status: out.Answer.Status, Headers: out.Answer.Headers, Body: out.Answer.Body}
}

func actorOf(p *authz.Principal) store.Actor {
	switch {
	case p.Key != "":
		return store.Actor("key:" + p.Key)
	case p.User != "":
		return store.Actor("user:" + p.User)
	}
	return "profile_" + store.Actor(p.Method) // the profile's administrator, not the server's
}

// findProfile finds a profile in the configuration in force.
func findProfile(engine *authz.Engine) func(identity.ProfileName) (*profile.Profile, bool) {
	return func(name identity.ProfileName) (*profile.Profile, bool) {
		p := engine.Snapshot().Profiles.ByName(name)
		return p, p != nil
	}
}
