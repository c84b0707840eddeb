-- +goose Up

-- How far the feed was pruned, in one row.
CREATE TABLE feed (
    single         INTEGER PRIMARY KEY NOT NULL CHECK (single = 1),
    pruned_through INTEGER NOT NULL
) STRICT;
INSERT INTO feed (single, pruned_through) VALUES (1, 0);

-- The running servers.
CREATE TABLE replicas (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL,
    applied     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;

CREATE TABLE shared_secrets (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;

-- Apart from the keys, so that counting touches no record.
CREATE TABLE key_usage (
    key_id  TEXT PRIMARY KEY NOT NULL REFERENCES api_keys (id),
    count   INTEGER NOT NULL,
    last_at INTEGER
) STRICT;

-- A debit whose request id is forgotten stays an entry of the ledger, and is in
-- force no more.
ALTER TABLE credit_ledger ADD COLUMN forgotten INTEGER NOT NULL DEFAULT FALSE CHECK (forgotten IN (0, 1));
DROP INDEX credit_ledger_in_force;
CREATE UNIQUE INDEX credit_ledger_in_force ON credit_ledger (org_id, request_id)
    WHERE kind = 'debit' AND released_by IS NULL AND NOT forgotten;
CREATE INDEX credit_ledger_by_age ON credit_ledger (at)
    WHERE kind = 'debit' AND released_by IS NULL AND NOT forgotten;
