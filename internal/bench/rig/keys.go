package rig

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver

	"postern/authz/credential"
)

// BulkOrg is the organization that the keys of Keys belong to; Seed creates it.
const BulkOrg = "org_media"

// Keys writes so many keys of the profile authenta straight into the server's store,
// and returns them raw. The management API would take hours for a million.
func (p *Postern) Keys(ctx context.Context, n int) ([]string, error) {
	format := &credential.Format{Layout: credential.Opaque, Prefix: "api_", Checksum: true, Hash: credential.SHA256}
	raw, rows := make([]string, n), make([][]any, n)
	for i := range n {
		minted, err := format.Mint(rand.Reader)
		if err != nil {
			return nil, err
		}
		digest := minted.Digest
		raw[i] = minted.Raw.Reveal()
		rows[i] = []any{string(minted.ID), minted.Hint, minted.Hash.Reveal(), digest[:]}
	}
	write := writeSQLite
	if strings.HasPrefix(p.Store, "postgres:") {
		write = writePostgres
	}
	if err := write(ctx, p.Store, rows); err != nil {
		return nil, fmt.Errorf("write %d keys into the store: %w", n, err)
	}
	return raw, nil
}

func writeSQLite(ctx context.Context, store string, rows [][]any) error {
	db, err := sql.Open("sqlite", strings.TrimPrefix(store, "sqlite://")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	insert, err := tx.PrepareContext(ctx, `INSERT INTO api_keys
		(id, hint, hash, digest, org_id, profile, environment, name, description, grants, disabled, created_at, revision)
		VALUES (?, ?, ?, ?, '`+BulkOrg+`', 'authenta', '', 'bulk', '', '["READ","WRITE"]', 0, ?, 1)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	now := time.Now().UnixMicro()
	for _, row := range rows {
		if _, err := insert.ExecContext(ctx, append(row, now)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func writePostgres(ctx context.Context, store string, rows [][]any) error {
	conn, err := pgx.Connect(ctx, store)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	now := time.Now()
	for i := range rows {
		rows[i] = append(rows[i], BulkOrg, "authenta", "", "bulk", "", []string{"READ", "WRITE"}, false, now, int64(1))
	}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"api_keys"}, []string{
		"id", "hint", "hash", "digest", "org_id", "profile", "environment", "name", "description", "grants", "disabled", "created_at", "revision",
	}, pgx.CopyFromRows(rows))
	return err
}
