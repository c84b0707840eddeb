-- +goose Up

-- Conventions: identifiers compare byte for byte (BINARY collation); times are
-- microseconds since 1970 UTC, NULL where there is none; flags are 0 or 1;
-- grants are a JSON array of strings; revision is that of the row's last change.

CREATE TABLE changes (
    revision     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    org_id       TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    digest       BLOB,
    token_issuer TEXT NOT NULL,
    token_id     TEXT NOT NULL,
    resource_id  TEXT NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

-- The revision is that of the event's subject; there is one event a mutation.
CREATE TABLE audit_events (
    revision INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    subject  TEXT NOT NULL,
    org_id   TEXT NOT NULL,
    detail   TEXT NOT NULL -- a JSON object of strings
) STRICT;
CREATE INDEX audit_events_by_org ON audit_events (org_id, revision);
CREATE INDEX audit_events_by_subject ON audit_events (subject, revision);
CREATE INDEX audit_events_by_action ON audit_events (action, revision);

CREATE TABLE organizations (
    id         TEXT PRIMARY KEY NOT NULL,
    slug       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    plan       TEXT NOT NULL,
    disabled   INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL
) STRICT;
CREATE INDEX organizations_in_order ON organizations (created_at, id);

CREATE TABLE users (
    id                TEXT PRIMARY KEY NOT NULL,
    issuer            TEXT NOT NULL, -- empty for Postern's own users
    subject           TEXT NOT NULL,
    email             TEXT NOT NULL,
    name              TEXT NOT NULL,
    disabled          INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    tokens_not_before INTEGER,
    created_at        INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX users_in_order ON users (created_at, id);

CREATE TABLE memberships (
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    user_id    TEXT NOT NULL REFERENCES users (id),
    grants     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (org_id, user_id)
) STRICT;
CREATE INDEX memberships_by_user ON memberships (user_id, created_at, org_id);

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY NOT NULL,
    org_id       TEXT NOT NULL REFERENCES organizations (id),
    user_id      TEXT REFERENCES users (id), -- NULL for a service key
    profile      TEXT NOT NULL,
    environment  TEXT NOT NULL,
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    hint         TEXT NOT NULL,
    hash         TEXT NOT NULL,
    digest       BLOB, -- NULL where only a slow hash is kept
    grants       TEXT NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    disabled     INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    successor_id TEXT REFERENCES api_keys (id),
    created_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX api_keys_by_digest ON api_keys (digest) WHERE digest IS NOT NULL;
CREATE INDEX api_keys_in_order ON api_keys (created_at, id);
CREATE INDEX api_keys_by_org ON api_keys (org_id, created_at, id);
CREATE INDEX api_keys_by_profile ON api_keys (profile, created_at, id);
CREATE INDEX api_keys_unrevoked ON api_keys (profile, expires_at) WHERE revoked_at IS NULL;

-- The tokens that Postern minted; the signed text is never kept.
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY NOT NULL,
    profile    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    org_id     TEXT REFERENCES organizations (id), -- NULL: names no organization
    user_id    TEXT NOT NULL REFERENCES users (id),
    grants     TEXT NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revision   INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_in_order ON tokens (issued_at, id);
CREATE INDEX tokens_by_user ON tokens (user_id, issued_at, id);
CREATE INDEX tokens_by_org ON tokens (org_id, issued_at, id);

-- The tokens of other issuers that are refused here.
CREATE TABLE refused_tokens (
    issuer     TEXT NOT NULL,
    id         TEXT NOT NULL,
    revoked_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (issuer, id)
) STRICT;

CREATE TABLE resources (
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    slug       TEXT NOT NULL, -- empty: found by id only
    org_id     TEXT NOT NULL REFERENCES organizations (id),
    created_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE UNIQUE INDEX resources_by_slug ON resources (org_id, kind, slug) WHERE slug <> '';
CREATE INDEX resources_by_foreign_slug ON resources (kind, slug, created_at, id);
CREATE INDEX resources_in_order ON resources (created_at, id, kind);
CREATE INDEX resources_by_org ON resources (org_id, created_at, id, kind);

CREATE TABLE credit_accounts (
    org_id        TEXT PRIMARY KEY NOT NULL REFERENCES organizations (id),
    balance       INTEGER NOT NULL,
    pay_as_you_go INTEGER NOT NULL CHECK (pay_as_you_go IN (0, 1))
) STRICT;

CREATE TABLE credit_ledger (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id        TEXT NOT NULL REFERENCES credit_accounts (org_id),
    kind          TEXT NOT NULL CHECK (kind IN ('top_up', 'debit', 'release')),
    amount        INTEGER NOT NULL CHECK ((kind = 'debit') = (amount < 0)),
    balance_after INTEGER NOT NULL,
    key_id        TEXT NOT NULL,
    request_id    TEXT CHECK ((kind = 'top_up') = (request_id IS NULL)),
    note          TEXT NOT NULL,
    at            INTEGER NOT NULL,
    released_by   INTEGER REFERENCES credit_ledger (id) CHECK (kind = 'debit' OR released_by IS NULL)
) STRICT;
-- A request has at most one debit in force: it is charged once.
CREATE UNIQUE INDEX credit_ledger_in_force ON credit_ledger (org_id, request_id)
    WHERE kind = 'debit' AND released_by IS NULL;
CREATE INDEX credit_ledger_by_org ON credit_ledger (org_id, id);

CREATE TABLE signing_keys (
    id         TEXT PRIMARY KEY NOT NULL,
    profile    TEXT NOT NULL, -- empty: every profile without one of its own
    algorithm  TEXT NOT NULL,
    private    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER,
    revision   INTEGER NOT NULL
) STRICT;
