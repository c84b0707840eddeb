-- +goose Up

-- How far the feed was pruned, in one row.
CREATE TABLE feed (
    single         boolean PRIMARY KEY CHECK (single),
    pruned_through bigint NOT NULL
);
INSERT INTO feed (single, pruned_through) VALUES (true, 0);

-- The running servers.
CREATE TABLE replicas (
    id          text COLLATE "C" PRIMARY KEY,
    name        text NOT NULL,
    applied     bigint NOT NULL,
    started_at  timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE shared_secrets (
    name  text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- Apart from the keys, so that counting touches no record.
CREATE TABLE key_usage (
    key_id  text COLLATE "C" PRIMARY KEY REFERENCES api_keys (id),
    count   bigint NOT NULL,
    last_at timestamptz
) WITH (fillfactor = 70);

-- A debit whose request id is forgotten stays an entry of the ledger, and is in
-- force no more.
ALTER TABLE credit_ledger ADD COLUMN forgotten boolean NOT NULL DEFAULT false;
DROP INDEX credit_ledger_in_force;
CREATE UNIQUE INDEX credit_ledger_in_force ON credit_ledger (org_id, request_id)
    WHERE kind = 'debit' AND released_by IS NULL AND NOT forgotten;
CREATE INDEX credit_ledger_by_age ON credit_ledger (at)
    WHERE kind = 'debit' AND released_by IS NULL AND NOT forgotten;
