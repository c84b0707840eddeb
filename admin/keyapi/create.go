package keyapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"postern/admin"
)

// The public sentences of the API.
const (
	shownOnce = "The key is shown only in this response and is not kept in readable form. Store it safely now; " +
		"if it is lost, deactivate it by its id and create a new one."
	limitReached = "Maximum number of active keys reached"
)

type createBody struct {
	Description *string  `json:"description"`
	Roles       []string `json:"roles"`
}

func (h *handler) create(c call) {
	var wanted createBody
	if status, detail := readJSON(c.r.Body, &wanted); detail != "" {
		writeDetail(c.w, status, detail)
		return
	}
	roles := wanted.Roles
	if len(roles) == 0 {
		roles = []string{c.rules.DefaultRole}
	}
	for _, role := range roles {
		if !slices.Contains(c.rules.Roles, role) {
			writeDetail(c.w, http.StatusBadRequest, fmt.Sprintf("Role %q is not allowed. Allowed roles are: %s", role, strings.Join(c.rules.Roles, ", ")))
			return
		}
	}
	key := admin.NewKey{Profile: h.Profile, Org: c.org, Permissions: roles}
	if wanted.Description != nil {
		key.Description = *wanted.Description
	}
	created, err := h.Keys.CreateKey(c.r.Context(), c.by, key)
	switch {
	case isCode(err, admin.LimitReached):
		writeDetail(c.w, http.StatusBadRequest, limitReached)
		return
	case isCode(err, admin.Invalid):
		writeDetail(c.w, http.StatusBadRequest, err.Error())
		return
	case err != nil:
		h.unavailable(c.w, c.r, "creating a key", err)
		return
	}
	body := h.body(created.Key)
	body.Key, body.Message = created.Raw.Reveal(), shownOnce
	body.Description = wanted.Description
	writeJSON(c.w, http.StatusOK, body)
}

// readJSON reads one JSON object; it returns how to refuse anything else.
func readJSON(from io.Reader, into any) (status int, detail string) {
	text, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	switch {
	case err != nil:
		return http.StatusBadRequest, "The body could not be read"
	case len(text) > maxBody:
		return http.StatusRequestEntityTooLarge, "The body is too large"
	}
	err = json.Unmarshal(text, into)
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrongType.Field != "" {
		return http.StatusUnprocessableEntity, fmt.Sprintf("%s: expected a JSON %s", wrongType.Field, jsonType(wrongType.Field))
	}
	if err != nil || !strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return http.StatusUnprocessableEntity, "The body must be a JSON object, such as {\"description\": \"my key\"}"
	}
	return 0, ""
}

func jsonType(field string) string {
	if strings.HasPrefix(field, "roles") {
		return "list of strings"
	}
	return "string"
}
