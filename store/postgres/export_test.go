package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/authz/identity"
	"postern/store/internal/feed"
)

// LookUps are what a request asks of a large table, by name, and the index that
// answers.
func LookUps() map[string]struct{ Query, Index string } {
	return map[string]struct{ Query, Index string }{
		"key by digest":        {selectKeyByDigest, "api_keys_by_digest"},
		"key by id":            {selectKey, "api_keys_pkey"},
		"organization by id":   {selectOrganization, "organizations_pkey"},
		"organization by slug": {selectOrganizationBySlug, "organizations_slug_key"},
		"user by id":           {selectUser, "users_pkey"},
		"user by subject":      {selectUserBySubject, "users_issuer_subject_key"},
		"token by jti":         {selectTokenState, "tokens_pkey"},
		"refused token":        {selectRefusal, "refused_tokens_pkey"},
		"resource by id":       {selectResourceByID, "resources_pkey"},
	}
}

// Scans are what looks at more than one row, or at more than one table.
func Scans() map[string]string {
	page := func(l listing, equal ...string) string {
		for _, column := range equal {
			l.where(column+" = ?", "")
		}
		values := make([]any, len(l.order))
		l.where("("+l.order[0]+", "+l.order[1]+") > (?, ?)", values...)
		return l.query(100)
	}
	keys := listing{columns: keyColumns, table: "api_keys", order: []string{"created_at", "id"}}
	tokens := listing{columns: tokenColumns, table: "tokens", order: []string{"issued_at", "id"}}
	return map[string]string{
		"keys after a cursor":              page(keys),
		"membership":                       selectMembership,
		"an organization's keys":           page(keys, "org_id"),
		"a profile's keys":                 page(keys, "profile"),
		"a user's tokens":                  page(tokens, "user_id"),
		"resource by slug":                 selectResourceBySlug,
		"debit":                            debit,
		"what a request meets":             standing,
		"giving back":                      giveBack,
		"requests to forget":               forgetDebits,
		"changes":                          selectChanges,
		"changes to prune":                 oldestChanges,
		"latest revision":                  selectLatest,
		"withdrawing the tokens of a user": withdrawTokens,
	}
}

// PruneStep bounds what one call takes away.
const PruneStep = feed.PruneStep

// Setting is a setting of the connections that serve requests.
func (s *Store) Setting(ctx context.Context, name string) (value string, err error) {
	err = s.requests.QueryRow(ctx, `SELECT current_setting($1)`, name).Scan(&value)
	return value, err
}

// Transact runs the statements in one transaction, as the engine does.
func (s *Store) Transact(ctx context.Context, between func(), statements ...string) error {
	_, err := transact(ctx, s, s.requests, beginTransaction, func(tx pgx.Tx) (struct{}, error) {
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return struct{}{}, err
			}
			between()
		}
		return struct{}{}, nil
	})
	return err
}

// Listen listens for changes and asks a quiet connection whether it is there.
func Listen(t testing.TB, url string, quiet time.Duration) <-chan struct{} {
	t.Helper()
	config, err := configure(identity.NewSecret(url), 1)
	if err != nil {
		t.Fatal(err)
	}
	var hub feed.Hub
	l, err := listen(t.Context(), config.ConnConfig, quiet, nil, map[string]*feed.Hub{changesChannel: &hub})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	wake, _ := hub.Subscribe()
	return wake
}
