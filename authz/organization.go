package authz

import (
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/authz/reason"
)

// organization binds the request to an organization and asks that it is the
// principal's and switched on.
func (c *check) organization() outcome {
	principal, rule := &c.out.Principal, c.route.Organization
	anywhere := principal.Method == identity.MethodAdminKey
	switch {
	case rule.From == profile.OrgFromHeader:
		return c.organizationBySlug(rule.Name)
	case rule.From == profile.OrgFromPath:
		addressed, _ := c.vars.Get(rule.Name)
		if principal.Org == "" && !anywhere {
			return denied(reason.NoOrganization)
		}
		if addressed == "" || (addressed != string(principal.Org) && !anywhere) {
			return denied(reason.WrongOrganization)
		}
		principal.Org = identity.OrgID(addressed)
	case principal.Org == "" && (rule.From == profile.OrgNone || anywhere):
		return pass
	case principal.Org == "":
		return denied(reason.NoOrganization)
	}
	org, presence, cause := lookup(c, c.engine.ports.Organizations, principal.Org)
	if presence != Found && presence != Absent {
		return unknown(presence, cause)
	}
	if presence == Absent {
		org = nil
	}
	return c.bind(org)
}

// organizationBySlug takes the organization a header names. A slug that names
// none is answered like a foreign one.
func (c *check) organizationBySlug(header string) outcome {
	h := c.header(header)
	switch {
	case h.count == 0 || h.value == "":
		return denied(reason.NoOrganization)
	case h.count > 1 || !validSlug(h.value):
		return denied(reason.WrongOrganization)
	}
	org, presence, cause := lookup(c, c.engine.ports.Slugs, identity.OrgSlug(h.value))
	switch presence {
	case Found:
	case Absent:
		return denied(reason.WrongOrganization)
	default:
		return unknown(presence, cause)
	}
	principal := &c.out.Principal
	switch {
	case principal.Method == identity.MethodAdminKey, principal.Org == org.ID:
	case principal.Org != "" || c.user == nil:
		return denied(reason.WrongOrganization)
	default: // a session: membership decides
		if o := c.member(org.ID, c.user.ID); !o.passed() {
			return o
		}
	}
	principal.Org = org.ID
	return c.bind(org)
}

// bind judges the organization and makes it the principal's.
func (c *check) bind(org *identity.Organization) outcome {
	if r := evaluateOrganization(org, c.trusted()); r != reason.Unset {
		return denied(r)
	}
	if org != nil {
		c.out.Principal.OrgSlug, c.out.Principal.Plan = org.Slug, org.Plan
	}
	return pass
}

// validSlug keeps what cannot be a slug away from caches and the store.
func validSlug(slug string) bool {
	if len(slug) > 64 {
		return false
	}
	for i := 0; i < len(slug); i++ {
		switch c := slug[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// resources asks that every resource the request names is the organization's.
func (c *check) resources() outcome {
	for i := range c.route.Resources {
		rule := &c.route.Resources[i]
		ref := identity.ResourceRef{Org: c.out.Principal.Org, Kind: rule.Kind}
		if rule.Query != "" {
			slug, present, ok := queryParameter(c.query, rule.Query)
			if !ok || (!present && rule.Required) {
				return denied(reason.BadRequest)
			}
			if !present {
				continue
			}
			ref.Slug = slug
		} else {
			id, _ := c.vars.Get(rule.Path)
			ref.ID = identity.ResourceID(id)
		}
		if o := c.resource(rule, ref); !o.passed() {
			return o
		}
	}
	return pass
}

func (c *check) resource(rule *profile.ResourceRule, ref identity.ResourceRef) outcome {
	if ref.Slug == "" && ref.ID == "" {
		return denied(reason.ResourceNotFound)
	}
	resource, presence, cause := lookup(c, c.engine.ports.Resources, ref)
	if presence != Found && presence != Absent {
		return unknown(presence, cause)
	}
	if presence == Absent {
		resource = nil
	}
	if r := evaluateResource(resource, ref.Org); r != reason.Unset {
		return denied(r)
	}
	if rule.Inject != "" && c.nInject < len(c.injected) {
		c.injected[c.nInject] = profile.Header{Name: rule.Inject, Value: string(resource.ID)}
		c.nInject++
	}
	return pass
}
