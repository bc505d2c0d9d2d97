-- Schema 1. Frozen: a shipped migration never changes; the next one is a new file.
-- Days are numbers: days since 1970-01-01. `chk` is the CRC-32 of the row's values (see checksum.rs),
-- because SQLite has no page checksums and a flipped bit would otherwise be a wrong number.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,   -- 'install_id': the device that last opened this file
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    user       INTEGER PRIMARY KEY,    -- 1 is the device's own ledger, '' before anyone signs in
    name       TEXT    NOT NULL UNIQUE CHECK (length(name) <= 128),
    revision   INTEGER NOT NULL CHECK (revision >= 0),
    cells      INTEGER NOT NULL,       -- rows of each table, so that a vanished row is noticed
    attended   INTEGER NOT NULL,
    sources    INTEGER NOT NULL,
    baselines  INTEGER NOT NULL,
    own_counts INTEGER NOT NULL,
    remarks    INTEGER NOT NULL,
    chk        INTEGER NOT NULL
) STRICT;

CREATE TABLE source (
    user           INTEGER NOT NULL,
    id             INTEGER NOT NULL CHECK (id BETWEEN 0 AND 65535),
    name           TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
    read_by_device INTEGER NOT NULL CHECK (read_by_device BETWEEN 0 AND 1),
    chk            INTEGER NOT NULL,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE cell (
    user             INTEGER NOT NULL,
    day              INTEGER NOT NULL CHECK (day BETWEEN 10957 AND 84005),
    source           INTEGER NOT NULL,
    epoch            INTEGER NOT NULL CHECK (epoch BETWEEN 0 AND 65535),
    recorded         INTEGER CHECK (recorded BETWEEN 0 AND 300000),   -- NULL: absent
    manual           INTEGER NOT NULL CHECK (manual BETWEEN 0 AND 300000),
    read_here        INTEGER NOT NULL CHECK (read_here BETWEEN 0 AND 1),
    reread           INTEGER NOT NULL CHECK (reread BETWEEN 0 AND 2),
    offset_minutes   INTEGER CHECK (offset_minutes BETWEEN -720 AND 840),
    pending_since_ms INTEGER,          -- NULL: known at the server
    parked           TEXT,             -- the code with which the server refused it
    chk              INTEGER NOT NULL,
    PRIMARY KEY (user, day, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE attendance (
    user             INTEGER NOT NULL,
    day              INTEGER NOT NULL CHECK (day BETWEEN 10957 AND 84005),
    pending_since_ms INTEGER,
    parked           TEXT,
    chk              INTEGER NOT NULL,
    PRIMARY KEY (user, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline (                -- where a since-boot counter stood; of this device, never sent
    user   INTEGER NOT NULL,
    source INTEGER NOT NULL,
    boot   TEXT    NOT NULL,
    count  INTEGER NOT NULL CHECK (count BETWEEN 0 AND 4294967295),
    chk    INTEGER NOT NULL,
    PRIMARY KEY (user, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE own_count (               -- what this device's counter gave to a day
    user   INTEGER NOT NULL,
    source INTEGER NOT NULL,
    day    INTEGER NOT NULL CHECK (day BETWEEN 10957 AND 84005),
    count  INTEGER NOT NULL CHECK (count BETWEEN 0 AND 300000),
    chk    INTEGER NOT NULL,
    PRIMARY KEY (user, source, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE remark (                  -- the last of each kind of thing that happened to a cell
    user   INTEGER NOT NULL,
    day    INTEGER NOT NULL CHECK (day BETWEEN 10957 AND 84005),
    source INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    at_ms  INTEGER NOT NULL,
    body   TEXT    NOT NULL,           -- JSON
    chk    INTEGER NOT NULL,
    PRIMARY KEY (user, day, source, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE set_aside (               -- rows that failed their checksum, as they were found
    id         INTEGER PRIMARY KEY,
    from_table TEXT    NOT NULL,
    content    TEXT    NOT NULL        -- JSON array of the raw columns
) STRICT;

-- For people with a SQL prompt.
CREATE VIEW readable AS
    SELECT l.name AS user, date(c.day * 86400, 'unixepoch') AS day, s.name AS source,
           c.epoch, c.recorded, c.manual, c.pending_since_ms IS NOT NULL AS pending, c.parked
      FROM cell c
      JOIN ledger l ON l.user = c.user
      JOIN source s ON s.user = c.user AND s.id = c.source;
