"""What can go wrong with the database, in sentences that say what to do."""

import sqlite3
from typing import Final

BUGS: Final = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
RESULT_CODE: Final = 0xFF  # SQLite's primary result codes are the low byte of the extended ones
BROKEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class StoreError(Exception):
    """Nothing was written; the text says which file, why, and what to do."""


class RefusedError(StoreError):
    """The storage is not to be used at all: no later try will help."""


def primary(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is the module's own."""
    return getattr(error, "sqlite_errorcode", 0) & RESULT_CODE


ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "another process holds it locked; no call is made until it lets go",
    sqlite3.SQLITE_FULL: "the disk is full; free some space: no call is made until then",
    sqlite3.SQLITE_READONLY: "it is read-only; let the exporter's user write there: no call is made until then",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; let the exporter's user write there: no call is made until then",
    sqlite3.SQLITE_IOERR: "the disk reports an error; look at the system's log: no call is made until it writes again",
    sqlite3.SQLITE_CORRUPT: "it is damaged; it is moved aside and every call counts as made now",
    sqlite3.SQLITE_NOTADB: "it is no database; it is moved aside and every call counts as made now",
}


def reason(error: sqlite3.Error) -> str:
    """What SQLite says, and what to do about it."""
    advice = ADVICE.get(primary(error))
    return f"{error}: {advice}" if advice else str(error)
