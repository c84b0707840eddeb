package server

import (
	"context"
	"net/http"

	"postern/admin"
	"postern/authz/identity"
	"postern/authz/profile"

	adminv1 "postern/proto/postern/admin/v1"
)

type decisions struct {
	adminv1.UnimplementedDecisionServiceServer
	failures
	service *admin.Service
}

// Check implements the rpc of DecisionService.
func (s *decisions) Check(ctx context.Context, r *adminv1.CheckRequest) (*adminv1.CheckResponse, error) {
	explained, err := s.service.Check(ctx, admin.Request{
		Profile: identity.ProfileName(r.GetProfile()), Host: r.GetHost(), Method: r.GetMethod(), Path: r.GetPath(), Scheme: r.GetScheme(),
		Headers: all(r.GetHeaders(), func(h *adminv1.Header) profile.Header {
			return profile.Header{Name: h.GetName(), Value: h.GetValue()}
		}),
	})
	if err != nil {
		return nil, s.status(ctx, err)
	}
	response := &adminv1.CheckResponse{
		Decision: adminv1.Decision_DECISION_DENY,
		Reason:   explained.Reason.String(),
		Profile:  string(explained.Profile),
		Route:    explained.Route,
		Cost:     int64(explained.Cost),
		Identity: &adminv1.Identity{
			Method: string(explained.Caller.Method), OrganizationId: string(explained.Caller.Org), OrganizationSlug: string(explained.Caller.OrgSlug),
			UserId: string(explained.Caller.User), KeyId: string(explained.Caller.Key), Permissions: explained.Caller.Grants.List(),
		},
	}
	if explained.Allow {
		response.Decision, response.Status = adminv1.Decision_DECISION_ALLOW, http.StatusOK
		response.SetHeaders, response.RemovedHeaders = headers(explained.Set), explained.Remove
		return response, nil
	}
	response.Status = int32(explained.Reason.Status())
	if a := explained.Answer; a != nil {
		response.Status = int32(a.Status)
		response.Answer = &adminv1.Answer{Status: int32(a.Status), Headers: headers(a.Headers), Body: a.Body}
	}
	return response, nil
}
