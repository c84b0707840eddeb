-- +goose Up

-- Conventions: names compare and are ordered by their bytes, whatever the
-- database's collation; times are NULL where there is none; grants are a JSON array
-- of strings; revision is that of the row's last change.

CREATE TABLE changes (
    revision     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL,
    org_id       text NOT NULL,
    user_id      text NOT NULL,
    key_id       text NOT NULL,
    digest       bytea,
    token_issuer text NOT NULL,
    token_id     text NOT NULL,
    resource_id  text NOT NULL,
    at           timestamptz NOT NULL
);

-- The revision is that of the event's subject; there is one event a mutation.
CREATE TABLE audit_events (
    revision bigint PRIMARY KEY,
    at       timestamptz NOT NULL,
    actor    text NOT NULL,
    action   text COLLATE "C" NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    org_id   text COLLATE "C" NOT NULL,
    detail   jsonb NOT NULL -- an object of strings
);
CREATE INDEX audit_events_by_org ON audit_events (org_id, revision);
CREATE INDEX audit_events_by_subject ON audit_events (subject, revision);
CREATE INDEX audit_events_by_action ON audit_events (action, revision);

CREATE TABLE organizations (
    id         text COLLATE "C" PRIMARY KEY,
    slug       text COLLATE "C" NOT NULL UNIQUE,
    name       text NOT NULL,
    plan       text NOT NULL,
    disabled   boolean NOT NULL,
    created_at timestamptz NOT NULL,
    revision   bigint NOT NULL
);
CREATE INDEX organizations_in_order ON organizations (created_at, id);

CREATE TABLE users (
    id                text COLLATE "C" PRIMARY KEY,
    issuer            text COLLATE "C" NOT NULL, -- empty for Postern's own users
    subject           text COLLATE "C" NOT NULL,
    email             text NOT NULL,
    name              text NOT NULL,
    disabled          boolean NOT NULL,
    tokens_not_before timestamptz,
    created_at        timestamptz NOT NULL,
    revision          bigint NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX users_in_order ON users (created_at, id);

CREATE TABLE memberships (
    org_id     text COLLATE "C" NOT NULL REFERENCES organizations (id),
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id),
    grants     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    revision   bigint NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_by_user ON memberships (user_id, created_at, org_id);

CREATE TABLE api_keys (
    id           text COLLATE "C" PRIMARY KEY,
    org_id       text COLLATE "C" NOT NULL REFERENCES organizations (id),
    user_id      text COLLATE "C" REFERENCES users (id), -- NULL for a service key
    profile      text COLLATE "C" NOT NULL,
    environment  text NOT NULL,
    name         text NOT NULL,
    description  text NOT NULL,
    hint         text NOT NULL,
    hash         text NOT NULL,
    digest       bytea CHECK (octet_length(digest) = 32), -- NULL where only a slow hash is kept
    grants       jsonb NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    disabled     boolean NOT NULL,
    successor_id text COLLATE "C" REFERENCES api_keys (id),
    created_at   timestamptz NOT NULL,
    revision     bigint NOT NULL
);
CREATE UNIQUE INDEX api_keys_by_digest ON api_keys (digest) WHERE digest IS NOT NULL;
CREATE INDEX api_keys_in_order ON api_keys (created_at, id);
CREATE INDEX api_keys_by_org ON api_keys (org_id, created_at, id);
CREATE INDEX api_keys_by_profile ON api_keys (profile, created_at, id);
CREATE INDEX api_keys_unrevoked ON api_keys (profile, expires_at) WHERE revoked_at IS NULL;

-- The tokens that Postern minted; the signed text is never kept.
CREATE TABLE tokens (
    id         text COLLATE "C" PRIMARY KEY,
    profile    text COLLATE "C" NOT NULL,
    kind       text NOT NULL,
    name       text NOT NULL,
    org_id     text COLLATE "C" REFERENCES organizations (id), -- NULL: names no organization
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id),
    grants     jsonb NOT NULL,
    issued_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revision   bigint NOT NULL
);
CREATE INDEX tokens_in_order ON tokens (issued_at, id);
CREATE INDEX tokens_by_user ON tokens (user_id, issued_at, id);
CREATE INDEX tokens_by_org ON tokens (org_id, issued_at, id);

-- The tokens of other issuers that are refused here.
CREATE TABLE refused_tokens (
    issuer     text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    revoked_at timestamptz NOT NULL,
    revision   bigint NOT NULL,
    PRIMARY KEY (issuer, id)
);

CREATE TABLE resources (
    kind       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    slug       text COLLATE "C" NOT NULL, -- empty: found by id only
    org_id     text COLLATE "C" NOT NULL REFERENCES organizations (id),
    created_at timestamptz NOT NULL,
    revision   bigint NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX resources_by_slug ON resources (org_id, kind, slug) WHERE slug <> '';
CREATE INDEX resources_by_foreign_slug ON resources (kind, slug, created_at, id);
CREATE INDEX resources_in_order ON resources (created_at, id, kind);
CREATE INDEX resources_by_org ON resources (org_id, created_at, id, kind);

-- Every debit writes its account's row again: room beside it keeps that cheap.
CREATE TABLE credit_accounts (
    org_id        text COLLATE "C" PRIMARY KEY REFERENCES organizations (id),
    balance       bigint NOT NULL,
    pay_as_you_go boolean NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE credit_ledger (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id        text COLLATE "C" NOT NULL REFERENCES credit_accounts (org_id),
    kind          text NOT NULL CHECK (kind IN ('top_up', 'debit', 'release')),
    amount        bigint NOT NULL CHECK ((kind = 'debit') = (amount < 0)),
    balance_after bigint NOT NULL,
    key_id        text NOT NULL,
    request_id    text COLLATE "C" CHECK ((kind = 'top_up') = (request_id IS NULL)),
    note          text NOT NULL,
    at            timestamptz NOT NULL,
    released_by   bigint REFERENCES credit_ledger (id) CHECK (kind = 'debit' OR released_by IS NULL)
);
-- A request has at most one debit in force: it is charged once.
CREATE UNIQUE INDEX credit_ledger_in_force ON credit_ledger (org_id, request_id)
    WHERE kind = 'debit' AND released_by IS NULL;
CREATE INDEX credit_ledger_by_org ON credit_ledger (org_id, id);

CREATE TABLE signing_keys (
    id         text COLLATE "C" PRIMARY KEY,
    profile    text NOT NULL, -- empty: every profile without one of its own
    algorithm  text NOT NULL,
    private    text NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    revision   bigint NOT NULL
);
