"""The tables and how they grow. `user_version` of the database is the version of its schema."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE operation (
    name TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    token TEXT NOT NULL,
    present INTEGER NOT NULL DEFAULT 1,
    revision INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE token (hash TEXT PRIMARY KEY, spent INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;

CREATE TABLE call (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL,
    list TEXT NOT NULL,
    token TEXT NOT NULL,
    owner TEXT NOT NULL,
    claimed_wall REAL NOT NULL, claimed_boot TEXT NOT NULL, claimed_uptime REAL NOT NULL,
    finished_wall REAL, finished_boot TEXT, finished_uptime REAL,
    busy REAL NOT NULL,
    pace REAL NOT NULL,
    whole INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    duration REAL NOT NULL DEFAULT 0,
    records INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    duplicates INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX call_of_operation ON call (operation, list, id);
CREATE INDEX call_of_token ON call (token, list, id);
CREATE INDEX call_open ON call (owner) WHERE outcome IS NULL;

CREATE TABLE rest (
    token TEXT NOT NULL,
    list TEXT NOT NULL,
    reason TEXT NOT NULL,
    strikes INTEGER NOT NULL,
    since_wall REAL NOT NULL, since_boot TEXT NOT NULL, since_uptime REAL NOT NULL,
    seconds REAL NOT NULL,
    locked INTEGER NOT NULL,
    PRIMARY KEY (token, list)
) WITHOUT ROWID;

CREATE TABLE standing (
    operation TEXT NOT NULL,
    list TEXT NOT NULL,
    believed_at REAL,
    rows BLOB,
    memory BLOB,
    held BLOB,
    PRIMARY KEY (operation, list)
);

CREATE TABLE counter (
    operation TEXT NOT NULL,
    list TEXT NOT NULL,
    name TEXT NOT NULL,
    first TEXT NOT NULL,
    second TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (operation, list, name, first, second)
) WITHOUT ROWID;

CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    operation TEXT NOT NULL,
    list TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    before_name TEXT NOT NULL,
    after_name TEXT NOT NULL
);
CREATE INDEX change_of_operation ON change (operation, at);
CREATE INDEX change_at ON change (at);
"""
ANSWERS: Final = """
CREATE TABLE answer (
    id INTEGER PRIMARY KEY,
    operation TEXT NOT NULL,
    list TEXT NOT NULL,
    at REAL NOT NULL,
    packed BLOB NOT NULL
);
CREATE INDEX answer_of_list ON answer (operation, list, id);
INSERT INTO meta VALUES ('answer_bytes', 0);
CREATE TRIGGER answer_came AFTER INSERT ON answer
    BEGIN UPDATE meta SET value = value + length(NEW.packed) WHERE name = 'answer_bytes'; END;
CREATE TRIGGER answer_went AFTER DELETE ON answer
    BEGIN UPDATE meta SET value = value - length(OLD.packed) WHERE name = 'answer_bytes'; END;
"""


class Schema(NamedTuple):
    """A version, the tables that it has, and from each older version the statements to the next one."""

    version: int
    tables: str
    migrations: Mapping[int, str]

    def statements(self, version: int) -> Iterable[str]:
        """What brings a database of this version up to date; version 0 is an empty one."""
        steps = range(version, self.version)
        text = self.tables if version == 0 else "".join(self.migrations[step] for step in steps)
        return filter(str.strip, text.split(";\n"))


# The third packs rows and memories by column, and reads what was packed before; its tables are those of the second.
CURRENT: Final = Schema(version=3, tables=TABLES + ANSWERS, migrations={1: ANSWERS, 2: ""})
