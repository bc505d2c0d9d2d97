-- Schema 2. Frozen: a shipped migration never changes; the next one is a new file.

CREATE TABLE change (                  -- every change of a fact: history, and what a device has not heard of yet
    user          INTEGER NOT NULL,
    seq           INTEGER NOT NULL CHECK (seq >= 1),   -- the transaction; on a server the revision
    day           INTEGER NOT NULL CHECK (day BETWEEN 10957 AND 84005),
    source        INTEGER NOT NULL CHECK (source BETWEEN -1 AND 65535),   -- -1: attendance
    at_ms         INTEGER NOT NULL,
    origin        TEXT    NOT NULL CHECK (length(origin) <= 256),
    from_epoch    INTEGER CHECK (from_epoch BETWEEN 0 AND 65535),         -- NULL: nothing was known
    from_recorded INTEGER CHECK (from_recorded BETWEEN 0 AND 300000),
    from_manual   INTEGER NOT NULL CHECK (from_manual BETWEEN 0 AND 300000),
    to_epoch      INTEGER NOT NULL CHECK (to_epoch BETWEEN 0 AND 65535),
    to_recorded   INTEGER CHECK (to_recorded BETWEEN 0 AND 300000),
    to_manual     INTEGER NOT NULL CHECK (to_manual BETWEEN 0 AND 300000),
    chk           INTEGER NOT NULL,
    PRIMARY KEY (user, seq, day, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE era (                     -- one a user whose changes are kept
    user            INTEGER NOT NULL,
    generation      INTEGER NOT NULL CHECK (generation >= 0),   -- raised by erasure
    lives           INTEGER NOT NULL CHECK (lives >= 0),        -- raised when rows of a server were lost
    seq             INTEGER NOT NULL CHECK (seq >= 0),          -- the last transaction
    complete_from   INTEGER NOT NULL CHECK (complete_from >= 0),-- the newest change of every fact after this one is kept
    history_from_ms INTEGER,           -- from when on every change is kept; NULL: from the beginning
    last_ms         INTEGER NOT NULL,  -- the time of the last change: times never go back
    compacted_ms    INTEGER NOT NULL,  -- when old changes were last compacted
    changes         INTEGER NOT NULL CHECK (changes >= 0),      -- rows of `change`, so that a vanished row is noticed
    chk             INTEGER NOT NULL,
    PRIMARY KEY (user)
) STRICT, WITHOUT ROWID;
