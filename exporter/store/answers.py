"""The SQL of the flight recorder, inside somebody's transaction: the newest answers of each list."""

import sqlite3
from typing import Final

MOST_OF_LIST: Final = 20  # answers of one list of one operation
MOST_BYTES: Final = 64 * 1024 * 1024  # packed, of all operations


def keep(db: sqlite3.Connection, operation: str, name: str, at: float, packed: bytes) -> None:
    """Writes one answer down and forgets older ones; nothing is kept of an operation that is not configured."""
    db.execute(
        "INSERT INTO answer (operation, list, at, packed)"
        " SELECT name, ?, ?, ? FROM operation WHERE name = ? AND present",
        (name, at, packed, operation),
    )
    db.execute(
        "DELETE FROM answer WHERE operation = ?1 AND list = ?2 AND id <="
        " (SELECT id FROM answer WHERE operation = ?1 AND list = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
        (operation, name, MOST_OF_LIST),
    )
    while total(db) > MOST_BYTES and db.execute("DELETE FROM answer WHERE id = (SELECT min(id) FROM answer)").rowcount:
        pass


def total(db: sqlite3.Connection) -> int:
    """The bytes of all answers that are kept; counted as they come and go, since there may be many."""
    return int(db.execute("SELECT value FROM meta WHERE name = 'answer_bytes'").fetchone()[0])


def kept(db: sqlite3.Connection, operation: str) -> list[tuple[bytes, str, int]]:
    """The packed answers of one operation, newest first, each with its list and its number."""
    return db.execute(
        "SELECT packed, list, id FROM answer WHERE operation = ? ORDER BY id DESC", (operation,)
    ).fetchall()


def prune(db: sqlite3.Connection, before: float) -> None:
    """Forgets the answers from before then; reads no more of the others than the first."""
    db.execute(
        "DELETE FROM answer WHERE id < coalesce((SELECT id FROM answer WHERE at >= ? ORDER BY id LIMIT 1), ?)",
        (before, 2**63 - 1),
    )


def forget_strangers(db: sqlite3.Connection) -> None:
    """Forgets the answers of operations that are not configured any more."""
    db.execute("DELETE FROM answer WHERE operation NOT IN (SELECT name FROM operation WHERE present)")
