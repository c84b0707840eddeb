package postgres

import (
	"context"

	"postern/store"
	"postern/store/internal/cursor"
)

func scanAuditEvent(r row) (store.AuditEvent, error) {
	var e store.AuditEvent
	err := r.Scan(&e.Revision, (*instant)(&e.At), &e.Actor, &e.Action, &e.Subject, &e.Org, &e.Detail)
	if len(e.Detail) == 0 {
		e.Detail = nil
	}
	return e, err
}

// ListAudit implements store.Audit.
func (s *Store) ListAudit(ctx context.Context, filter store.AuditFilter, page store.Page) ([]store.AuditEvent, string, error) {
	l := listing{
		columns: `revision, at, actor, action, subject, org_id, detail`,
		table:   "audit_events", order: []string{"revision"},
	}
	l.equal("org_id", string(filter.Org))
	l.equal("subject", filter.Subject)
	l.equal("action", filter.Action)
	events, next, err := readPage(ctx, s, l, page, scanAuditEvent, func(e store.AuditEvent) cursor.Position {
		return cursor.Position{At: int64(e.Revision)}
	})
	return events, next, failed(ctx, err, "list audit events")
}
