package demo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"postern/internal/demo/seed"
)

// variable is one line of demo.env.
type variable struct{ name, value string }

// list is all of demo.env, in its order.
func (l layout) list(seeded map[string]string, adminKey, engineKey string) []variable {
	fixed := map[string]string{
		"DATASETS_COMPANY_ID":       seed.CompanyID,
		"DATASETS_OTHER_COMPANY_ID": seed.OtherCompanyID,
		"ARTANIS_ORG_SLUG":          seed.OrgSlug,
		"ARTANIS_OTHER_ORG_SLUG":    seed.OtherOrgSlug,
		"ARTANIS_PROJECT":           seed.Project,
		"ARTANIS_FOREIGN_PROJECT":   seed.ForeignProject,
		"GENAI_ENGINE_ADMIN_KEY":    engineKey,
		"POSTERN_ADMIN_URL":         l.url(portAdmin),
		"POSTERN_ADMIN_KEY":         adminKey,
	}
	for _, a := range apis() {
		fixed[a.variable+"_URL"] = l.url(a.port)
	}
	var all []variable
	for _, name := range strings.Fields(`
		ARTOS_URL ARTOS_TOKEN ARTOS_EXPIRED_TOKEN ARTOS_REVOKED_TOKEN ARTOS_NO_ORG_TOKEN ARTOS_DISABLED_ORG_TOKEN
		DATASETS_URL DATASETS_TOKEN DATASETS_EXPIRED_TOKEN DATASETS_COMPANY_ID DATASETS_OTHER_COMPANY_ID
		ARTANIS_URL ARTANIS_API_KEY ARTANIS_ORG_SLUG ARTANIS_PROJECT ARTANIS_FOREIGN_PROJECT ARTANIS_OTHER_ORG_SLUG ARTANIS_SESSION_TOKEN
		ARTHUR_PLATFORM_URL ARTHUR_PLATFORM_TOKEN ARTHUR_PLATFORM_WEAK_TOKEN
		ARTHUR_ENGINE_URL GENAI_ENGINE_ADMIN_KEY ARTHUR_API_KEY
		AUTHENTA_URL AUTHENTA_API_KEY AUTHENTA_READONLY_KEY AUTHENTA_NOBALANCE_KEY AUTHENTA_REVOKED_KEY
		POSTERN_ADMIN_URL POSTERN_ADMIN_KEY`) {
		value, ok := fixed[name]
		if !ok {
			value = seeded[name]
		}
		all = append(all, variable{name, value})
	}
	return all
}

// writeVariables replaces the file in one step; only its owner may read it.
func writeVariables(path string, all []variable) error {
	var text strings.Builder
	for _, v := range all {
		if v.value == "" {
			return fmt.Errorf("write %s: %s has no value", path, v.name)
		}
		fmt.Fprintf(&text, "%s='%s'\n", v.name, strings.ReplaceAll(v.value, "'", `'\''`))
	}
	if err := os.WriteFile(path+".new", []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write the variables: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write the variables: %w", err)
	}
	return nil
}

// Variables reads the demo.env of a demo's state folder; none where it has not run.
func Variables(state string) (map[string]string, error) {
	return readVariables(filepath.Join(state, "demo.env"))
}

// readVariables reads what writeVariables wrote; no file means no variables, and
// a line of another form says nothing.
func readVariables(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the variables of the run before: %w", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "='")
		if value, quoted := strings.CutSuffix(value, "'"); found && quoted {
			values[name] = strings.ReplaceAll(value, `'\''`, "'")
		}
	}
	return values, nil
}
