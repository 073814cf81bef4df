-- The form of the read models. Raise `FORM` in store.rs with every change here: the file is then
-- made anew from the journal. Instants are nanoseconds since the epoch, states the contract's numbers.

CREATE TABLE standing (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    cursor   BLOB,
    position INTEGER NOT NULL,
    -- Whether archived runs are in `runs`: no event tells of them.
    has_archived INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE runs (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    definition   TEXT NOT NULL,
    number       INTEGER NOT NULL,
    digest       TEXT NOT NULL,
    project      TEXT,
    state        INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    started      INTEGER,
    ended        INTEGER,
    trace        TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    parent_run   TEXT,
    parent_step  TEXT,
    failed_step  TEXT,
    failed_class TEXT,
    failed_code  TEXT,
    failed_text  TEXT,
    total        INTEGER NOT NULL,
    done         INTEGER NOT NULL DEFAULT 0,
    running      INTEGER NOT NULL DEFAULT 0,
    waiting      INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    version      INTEGER NOT NULL,
    -- Where each step stands, as JSON: what the counts are kept from.
    phases       TEXT NOT NULL DEFAULT '{}',
    archived     INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
-- For retention: what has ended and is not archived.
CREATE INDEX runs_by_end ON runs (ended, tenant, id) WHERE archived IS NULL AND ended IS NOT NULL;
CREATE INDEX runs_by_time ON runs (tenant, created DESC, id DESC);
CREATE INDEX runs_by_state ON runs (tenant, state, created DESC, id DESC);
CREATE INDEX runs_by_definition ON runs (tenant, definition, created DESC, id DESC);
CREATE INDEX runs_by_project ON runs (tenant, project, created DESC, id DESC);

CREATE TABLE approvals (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    title        TEXT NOT NULL,
    state        INTEGER NOT NULL,
    digest       TEXT NOT NULL,
    run          TEXT NOT NULL,
    step         TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    quorum       INTEGER NOT NULL,
    roles        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    ended        INTEGER,
    escalate     INTEGER,
    expire       INTEGER,
    escalated    INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_by_time ON approvals (tenant, created DESC, id DESC);
CREATE INDEX approvals_by_state ON approvals (tenant, state, created DESC, id DESC);

CREATE TABLE tasks (
    tenant       TEXT NOT NULL,
    id           TEXT NOT NULL,
    agent        TEXT NOT NULL,
    number       INTEGER NOT NULL DEFAULT 0,
    state        INTEGER NOT NULL,
    -- Where it stands beside being paused.
    phase        INTEGER NOT NULL,
    run          TEXT NOT NULL,
    step         TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    created      INTEGER NOT NULL,
    ended        INTEGER,
    corrections  INTEGER NOT NULL DEFAULT 0,
    -- As JSON, once it has ended.
    spent        TEXT,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_time ON tasks (tenant, created DESC, id DESC);
CREATE INDEX tasks_by_run ON tasks (tenant, run, created DESC, id DESC);
-- For retention.
CREATE INDEX tasks_by_end ON tasks (ended, tenant, id) WHERE ended IS NOT NULL;

CREATE TABLE definitions (
    tenant       TEXT NOT NULL,
    name         TEXT NOT NULL,
    number       INTEGER NOT NULL,
    digest       TEXT NOT NULL,
    title        TEXT NOT NULL,
    published    INTEGER NOT NULL,
    published_by TEXT NOT NULL,
    version      INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE blueprints (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    number     INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    title      TEXT NOT NULL,
    applied    INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    run        TEXT,
    version    INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE products (
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    url        TEXT NOT NULL DEFAULT '',
    repository TEXT NOT NULL DEFAULT '',
    revision   TEXT NOT NULL DEFAULT '',
    passed     INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    state      TEXT NOT NULL DEFAULT '',
    digest     TEXT NOT NULL DEFAULT '',
    run        TEXT NOT NULL DEFAULT '',
    -- Whether the product exists, or only its process is known so far.
    made       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Which skills the latest version of a definition names.
CREATE TABLE users (
    tenant     TEXT NOT NULL,
    skill      TEXT NOT NULL,
    definition TEXT NOT NULL,
    PRIMARY KEY (tenant, skill, definition)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_by_definition ON users (tenant, definition);

CREATE TABLE tenants (
    tenant   TEXT NOT NULL PRIMARY KEY,
    title    TEXT NOT NULL,
    state    INTEGER NOT NULL,
    created  INTEGER NOT NULL,
    disabled INTEGER,
    version  INTEGER NOT NULL,
    development INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    name       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    roles      TEXT NOT NULL,
    created    INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked    INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_name ON keys (tenant, name, id);

CREATE TABLE collections (
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
