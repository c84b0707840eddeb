// Package seed fills a running Postern with one of everything the demo shows:
// organizations, users, projects, credits, keys and tokens. It works through the
// management API alone, as an operator's script would, and may be run again at
// will: what is there stays, and what still works is kept.
package seed

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "postern/proto/postern/admin/v1"
)

// The names that the demo's commands use.
const (
	OrgSlug        = "my-org"
	OtherOrgSlug   = "other-org"
	Project        = "my-project"
	ForeignProject = "their-project"
	CompanyID      = "company_acme"
	OtherCompanyID = "org_other"

	orgID         = "org_my"
	otherOrgID    = OtherCompanyID
	disabledOrgID = "org_disabled"
	mediaOrgID    = "org_media"
	emptyOrgID    = "org_empty"

	userID        = "user_ada"
	strayUserID   = "user_stray" // belongs nowhere
	sessionUserID = "user_clerk"
	// SessionSubject is the sub of the demo's sessions.
	SessionSubject = "user_2demo"

	mediaCredits = 100_000
)

// directory creates what credentials refer to, and undoes what a visitor switched
// off.
func (s *seeder) directory(ctx context.Context) error {
	for _, o := range []*adminv1.CreateOrganizationRequest{
		{Id: orgID, Slug: OrgSlug, Name: "My Organization", Plan: "pro"},
		{Id: otherOrgID, Slug: OtherOrgSlug, Name: "Other Organization"},
		{Id: CompanyID, Slug: "acme", Name: "Acme"},
		{Id: disabledOrgID, Slug: "disabled-org", Name: "Disabled Organization"},
		{Id: "org_default", Slug: "default", Name: "Default"},
		{Id: mediaOrgID, Slug: "media-org", Name: "Media with credits"},
		{Id: emptyOrgID, Slug: "empty-org", Name: "Media without credits"},
	} {
		if _, err := s.organizations.CreateOrganization(ctx, o); failed(err) {
			return fmt.Errorf("create the organization %s: %w", o.Slug, err)
		}
		if o.Id == disabledOrgID {
			continue
		}
		if _, err := s.organizations.EnableOrganization(ctx, &adminv1.EnableOrganizationRequest{Id: o.Id}); err != nil {
			return fmt.Errorf("enable the organization %s: %w", o.Slug, err)
		}
	}
	for _, u := range []*adminv1.CreateUserRequest{
		{Id: userID, Name: "Ada", Email: "ada@example.com"},
		{Id: strayUserID, Name: "Stray"},
		{Id: sessionUserID, Name: "Ada, signed in", Issuer: s.Sessions.Name(), Subject: SessionSubject},
	} {
		if _, err := s.users.CreateUser(ctx, u); failed(err) {
			return fmt.Errorf("create the user %s: %w", u.Id, err)
		}
		if _, err := s.users.EnableUser(ctx, &adminv1.EnableUserRequest{Id: u.Id}); err != nil {
			return fmt.Errorf("enable the user %s: %w", u.Id, err)
		}
	}
	for _, m := range []*adminv1.PutMembershipRequest{
		{OrganizationId: orgID, UserId: userID, Permissions: []string{"read", "write", "delete"}},
		{OrganizationId: CompanyID, UserId: userID, Permissions: []string{"read", "write"}},
		{OrganizationId: disabledOrgID, UserId: userID, Permissions: []string{"read"}},
		{OrganizationId: orgID, UserId: sessionUserID, Permissions: []string{"read", "write"}},
	} {
		if _, err := s.users.PutMembership(ctx, m); err != nil {
			return fmt.Errorf("make %s a member of %s: %w", m.UserId, m.OrganizationId, err)
		}
	}
	for _, r := range []*adminv1.CreateResourceRequest{
		{Id: "proj_mine", Kind: "project", Slug: Project, OrganizationId: orgID},
		{Id: "proj_theirs", Kind: "project", Slug: ForeignProject, OrganizationId: otherOrgID},
	} {
		if _, err := s.resources.CreateResource(ctx, r); failed(err) {
			return fmt.Errorf("create the project %s: %w", r.Slug, err)
		}
	}
	return s.credits(ctx)
}

// credits fills the account that the demo spends from.
func (s *seeder) credits(ctx context.Context) error {
	got, err := s.accounts.GetAccount(ctx, &adminv1.GetAccountRequest{OrganizationId: mediaOrgID})
	if err != nil {
		return fmt.Errorf("look at the credits of media-org: %w", err)
	}
	missing := mediaCredits - got.GetAccount().GetBalance()
	if missing <= 0 {
		return nil
	}
	_, err = s.accounts.TopUp(ctx, &adminv1.TopUpRequest{OrganizationId: mediaOrgID, Amount: missing, Note: "demo"})
	if err != nil {
		return fmt.Errorf("top up media-org: %w", err)
	}
	return nil
}

// failed: an error, and not that the record is there from an earlier run.
func failed(err error) bool { return err != nil && status.Code(err) != codes.AlreadyExists }
