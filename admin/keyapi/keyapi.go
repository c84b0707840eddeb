// Package keyapi serves the key management that a profile offers to its own
// clients (arthur-engine's /auth/api_keys), with the bodies its document shows.
// It knows HTTP and the use cases of package admin. It trusts no header: every
// request is authorized again with the credential it brings.
package keyapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"postern/admin"
	"postern/authz/identity"
	"postern/authz/profile"
	"postern/store"
)

// Path is where the collection is; it answers with and without the last slash.
const Path = "/auth/api_keys"

const maxBody = 64 << 10

// Keys are the use cases behind the API; *admin.Service is them.
type Keys interface {
	CreateKey(ctx context.Context, by store.Actor, key admin.NewKey) (admin.NewSecretKey, error)
	Key(ctx context.Context, id identity.KeyID) (store.Key, error)
	ListKeys(ctx context.Context, query admin.KeyQuery, p admin.Paging) ([]store.Key, string, error)
	RevokeKey(ctx context.Context, by store.Actor, id identity.KeyID) (store.Key, admin.Confirmation, error)
	OrganizationBySlug(ctx context.Context, slug identity.OrgSlug) (store.Organization, error)
}

// Denied is the engine's answer to a request that it refuses.
type Denied struct {
	Status  int
	Headers []profile.Header
	Body    string
}

// Authorizer asks the engine whether a request may pass, by its own credential.
type Authorizer interface {
	// Authorize returns who the request is from, or how to refuse it.
	Authorize(ctx context.Context, r *http.Request, name identity.ProfileName) (store.Actor, *Denied)
}

// Options are what a handler is made of. All but Logger are required.
type Options struct {
	Keys       Keys
	Authorizer Authorizer
	// Profile is whose keys are managed; its rules are read anew for each request.
	Profile identity.ProfileName
	// Find finds a profile by its exact name in the configuration in force.
	Find   func(identity.ProfileName) (*profile.Profile, bool)
	Clock  func() time.Time
	Logger *slog.Logger // nil: nothing is logged
}

// New makes the handler of Path and everything below it.
func New(o Options) (http.Handler, error) {
	switch {
	case o.Keys == nil || o.Authorizer == nil || o.Find == nil || o.Clock == nil:
		return nil, errors.New("key API: the use cases, an authorizer, a way to find profiles and a clock are required")
	case o.Profile == "":
		return nil, errors.New("key API: a profile is required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &handler{o}, nil
}

type handler struct{ Options }

// call is one authorized request under the rules in force.
type call struct {
	w     http.ResponseWriter
	r     *http.Request
	by    store.Actor
	rules *profile.KeyManagement
	org   identity.OrgID
	id    identity.KeyID // of a single key
}

// ServeHTTP authorizes before it answers anything: a client that may not pass is
// not told what exists.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // answers may hold a new secret
	to := match(r.URL.Path)
	by, denied := h.Authorizer.Authorize(r.Context(), to.spell(r), h.Profile)
	if denied != nil {
		refuse(w, denied)
		return
	}
	p, ok := h.Find(h.Profile)
	if !ok || p.KeyManagement == nil || to.answer == nil {
		writeDetail(w, http.StatusNotFound, "Not Found")
		return
	}
	org, err := h.Keys.OrganizationBySlug(r.Context(), p.KeyManagement.Organization)
	if err != nil {
		h.unavailable(w, r, "finding the organization of the key API", err)
		return
	}
	to.answer(h, call{w: w, r: r, by: by, rules: p.KeyManagement, org: org.ID, id: to.id})
}

func (h *handler) collection(c call) {
	switch c.r.Method {
	case http.MethodPost:
		h.create(c)
	case http.MethodGet, http.MethodHead:
		h.list(c)
	default:
		allow(c, http.MethodGet+", "+http.MethodPost)
	}
}

func (h *handler) list(c call) {
	answer := []keyBody{}
	query := admin.KeyQuery{Profile: h.Profile, Org: c.org, ActiveOnly: true}
	for page := (admin.Paging{Size: 1000}); ; {
		keys, next, err := h.Keys.ListKeys(c.r.Context(), query, page)
		if err != nil {
			h.unavailable(c.w, c.r, "listing keys", err)
			return
		}
		for _, key := range keys {
			if h.active(key) {
				answer = append(answer, h.body(key))
			}
		}
		if next == "" {
			break
		}
		page.Token = next
	}
	writeJSON(c.w, http.StatusOK, answer)
}

func (h *handler) show(c call) {
	if !allow(c, http.MethodGet) {
		return
	}
	if key, ok := h.find(c); ok {
		writeJSON(c.w, http.StatusOK, h.body(key))
	}
}

func (h *handler) deactivate(c call) {
	if !allow(c, http.MethodDelete) {
		return
	}
	if _, ok := h.find(c); !ok {
		return
	}
	if _, _, err := h.Keys.RevokeKey(c.r.Context(), c.by, c.id); err != nil {
		h.unavailable(c.w, c.r, "deactivating a key", err)
		return
	}
	c.w.WriteHeader(http.StatusNoContent)
}

// find answers for itself where there is no such key of this API.
func (h *handler) find(c call) (store.Key, bool) {
	key, err := h.Keys.Key(c.r.Context(), c.id)
	if err != nil && !isCode(err, admin.NotFound, admin.Invalid) {
		h.unavailable(c.w, c.r, "finding a key", err)
		return key, false
	}
	if err != nil || key.Profile != h.Profile || key.Org != c.org {
		writeDetail(c.w, http.StatusNotFound, "API Key not found")
		return key, false
	}
	return key, true
}

func (h *handler) active(key store.Key) bool {
	expired := !key.ExpiresAt.IsZero() && !h.Clock().Before(key.ExpiresAt)
	return key.RevokedAt.IsZero() && !expired && !key.Disabled
}

// keyBody is a key as the document shows it; the members that do not apply are
// left out.
type keyBody struct {
	ID            string   `json:"id"`
	Key           string   `json:"key,omitempty"`
	Description   *string  `json:"description,omitempty"`
	IsActive      bool     `json:"is_active"`
	CreatedAt     string   `json:"created_at"`
	DeactivatedAt string   `json:"deactivated_at,omitempty"`
	Message       string   `json:"message,omitempty"`
	Roles         []string `json:"roles"`
}

func (h *handler) body(key store.Key) keyBody {
	body := keyBody{
		ID: string(key.ID), IsActive: h.active(key), CreatedAt: stamp(key.CreatedAt), Roles: append([]string{}, key.Grants.List()...),
	}
	if key.Description != "" {
		body.Description = &key.Description
	}
	if !key.RevokedAt.IsZero() {
		body.DeactivatedAt = stamp(key.RevokedAt)
	}
	return body
}

// stamp is a date-time in ISO 8601, as the document's clients parse it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

func (h *handler) unavailable(w http.ResponseWriter, r *http.Request, doing string, err error) {
	h.Logger.ErrorContext(r.Context(), "the key API failed", "doing", doing, "error", err)
	writeDetail(w, http.StatusServiceUnavailable, "Service temporarily unavailable")
}

func isCode(err error, codes ...admin.Code) bool {
	refused, ok := errors.AsType[*admin.Error](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if refused.Code == code {
			return true
		}
	}
	return false
}

// allow answers for itself where the method is another one. HEAD goes with GET.
func allow(c call, methods string) bool {
	if c.r.Method == methods || c.r.Method == http.MethodHead && methods == http.MethodGet {
		return true
	}
	c.w.Header().Set("Allow", methods)
	writeDetail(c.w, http.StatusMethodNotAllowed, "Method Not Allowed")
	return false
}

func refuse(w http.ResponseWriter, d *Denied) {
	for _, header := range d.Headers {
		w.Header().Add(header.Name, header.Value)
	}
	w.WriteHeader(d.Status)
	// A client that is gone is no concern of ours.
	_, _ = w.Write([]byte(d.Body)) //nolint:gosec // the body is the profile's own text, made at load, not the client's
}

func writeDetail(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, struct {
		Detail string `json:"detail"`
	}{detail})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // a client that is gone is no concern of ours
}
