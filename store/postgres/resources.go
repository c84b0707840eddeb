package postgres

import (
	"context"

	"postern/authz/identity"
	"postern/store"
	"postern/store/internal/cursor"
	"postern/store/internal/feed"
	"postern/store/internal/valid"
)

const (
	resourceColumns    = `kind, id, slug, org_id, created_at, revision`
	selectResourceByID = `SELECT ` + resourceColumns + ` FROM resources WHERE kind = $1 AND id = $2`
	// Its own first; of another organization's the oldest, so that the answer
	// does not depend on chance.
	selectResourceBySlug = `SELECT ` + resourceColumns + ` FROM (
			SELECT 0 AS rank, own.* FROM resources own
				WHERE org_id = $3 AND kind = $1 AND slug = $2 AND slug <> ''
			UNION ALL
			SELECT 1 AS rank, foreign_one.* FROM (SELECT * FROM resources
				WHERE kind = $1 AND slug = $2 ORDER BY created_at, id LIMIT 1) foreign_one
		) named ORDER BY rank LIMIT 1`
)

func scanResource(r row) (store.Resource, error) {
	var v store.Resource
	err := r.Scan(&v.Kind, &v.ID, &v.Slug, &v.Org, (*instant)(&v.CreatedAt), &v.Revision)
	return v, err
}

// CreateResource implements store.Resources.
func (s *Store) CreateResource(ctx context.Context, by store.Actor, r store.Resource) (store.Resource, error) {
	if err := valid.Resource(r); err != nil {
		return store.Resource{}, failed(ctx, err, "create %s %q", r.Kind, r.ID)
	}
	created, err := mutate(ctx, s, by, func(tx *mutation) (store.Resource, error) {
		revision, err := tx.record(ctx, event{
			action: store.ActionResourceCreate, subject: string(r.ID), org: r.Org,
			detail: detail{"kind": string(r.Kind), "slug": r.Slug},
		}, feed.Resource(r))
		if err != nil {
			return store.Resource{}, err
		}
		return scanResource(tx.QueryRow(ctx, `INSERT INTO resources (`+resourceColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6) RETURNING `+resourceColumns,
			r.Kind, r.ID, r.Slug, r.Org, instant(s.orNow(r.CreatedAt)), revision))
	})
	return created, failed(ctx, err, "create %s %q", r.Kind, r.ID)
}

// FindResource implements store.Resources.
func (s *Store) FindResource(ctx context.Context, ref identity.ResourceRef) (identity.Resource, error) {
	if err := valid.ResourceRef(ref); err != nil {
		return identity.Resource{}, failed(ctx, err, "find %s", ref.Kind)
	}
	query, args := selectResourceByID, []any{ref.Kind, ref.ID}
	if ref.Slug != "" {
		query, args = selectResourceBySlug, []any{ref.Kind, ref.Slug, ref.Org}
	}
	found, err := find(ctx, s, scanResource, query, args...)
	return found.Resource, failed(ctx, err, "find %s", ref.Kind)
}

// ListResources implements store.Resources.
func (s *Store) ListResources(ctx context.Context, filter store.ResourceFilter, page store.Page) ([]store.Resource, string, error) {
	l := listing{columns: resourceColumns, table: "resources", byTime: true, order: []string{"created_at", "id", "kind"}}
	l.equal("org_id", string(filter.Org))
	l.equal("kind", string(filter.Kind))
	resources, next, err := readPage(ctx, s, l, page, scanResource, func(r store.Resource) cursor.Position {
		return cursor.Position{At: r.CreatedAt.UnixMicro(), ID: string(r.ID), Kind: string(r.Kind)}
	})
	return resources, next, failed(ctx, err, "list resources")
}

// DeleteResource implements store.Resources.
func (s *Store) DeleteResource(ctx context.Context, by store.Actor, kind identity.ResourceKind, id identity.ResourceID) error {
	_, err := mutate(ctx, s, by, func(tx *mutation) (store.Resource, error) {
		r, err := scanResource(tx.QueryRow(ctx, `DELETE FROM resources
			WHERE kind = $1 AND id = $2 RETURNING `+resourceColumns, kind, id))
		if err != nil {
			return r, err
		}
		_, err = tx.record(ctx, event{
			action: store.ActionResourceDelete, subject: string(id), org: r.Org, detail: detail{"kind": string(kind)},
		}, feed.Resource(r))
		return r, err
	})
	return failed(ctx, err, "delete %s %q", kind, id)
}
