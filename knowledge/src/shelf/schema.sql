-- What a shelf holds beside its indexes. Raise `FORM` in store.rs with every change here: the shelf is then
-- made anew from the documents' bodies.

CREATE TABLE standing (
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    -- The last round that is durable here.
    round INTEGER NOT NULL,
    -- Digest of the model that made the vectors.
    model TEXT NOT NULL
) STRICT;

CREATE TABLE documents (
    number         INTEGER PRIMARY KEY,
    source         TEXT NOT NULL,
    path           TEXT NOT NULL,
    content        TEXT NOT NULL,
    revision       TEXT NOT NULL,
    classification INTEGER NOT NULL,
    outside        INTEGER NOT NULL,
    UNIQUE (source, path)
) STRICT;

CREATE TABLE chunks (
    id         BLOB PRIMARY KEY,
    document   INTEGER NOT NULL,
    place      TEXT NOT NULL,
    prefix     TEXT NOT NULL,
    text       TEXT NOT NULL,
    first_line INTEGER NOT NULL,
    last_line  INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    -- SHA-256 of prefix and text: a chunk that has the same is neither embedded nor indexed again.
    hash       BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX chunks_by_document ON chunks (document);
