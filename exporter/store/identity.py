"""The SQL of who an operation is, inside somebody's transaction: names come, go, and are given to what was known."""

import json
import sqlite3
from typing import NamedTuple

from exporter import budget
from exporter.model import Moment
from exporter.store import answers
from exporter.store.journal import TABLES


class Identity(NamedTuple):
    """One configured operation: its name, its server, and the keyed hash of its token."""

    name: str
    server: str
    token: str


def adopt(db: sqlite3.Connection, operations: tuple[Identity, ...]) -> None:
    """Makes these the configured ones.

    A name that goes while another comes with its server and token is a rename and takes everything along. A new
    server is a new baseline. A new token changes nothing but the hash. What a name that goes leaves is kept, in case it
    comes back, but for its answers.
    """
    known = {row[0]: Identity(*row) for row in db.execute("SELECT name, server, token FROM operation WHERE present")}
    names = {operation.name for operation in operations}
    gone = {(old.server, old.token): old.name for old in known.values() if old.name not in names}
    for operation in operations:
        old_name = gone.get((operation.server, operation.token))
        if operation.name not in known and old_name is not None:
            rename(db, old_name, operation.name)
    db.execute("UPDATE operation SET present = 0")
    for operation in operations:
        settle(db, operation)
    answers.forget_strangers(db)


def rename(db: sqlite3.Connection, old: str, new: str) -> None:
    """Gives all that belongs to the old name to the new one; what a former bearer of the new name left is dropped."""
    for table, column in (*((table, "operation") for table in TABLES), ("operation", "name")):
        if table != "call":  # a call binds whoever made it
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (new,))  # noqa: S608 - fixed names
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))  # noqa: S608 - fixed names


def settle(db: sqlite3.Connection, operation: Identity) -> None:
    """Writes one configured operation; on another server than before, what was believed is forgotten."""
    row = db.execute("SELECT server FROM operation WHERE name = ?", (operation.name,)).fetchone()
    if row is not None and row[0] != operation.server:
        db.execute("DELETE FROM standing WHERE operation = ?", (operation.name,))
    db.execute(
        "INSERT INTO operation (name, server, token) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET server = excluded.server, token = excluded.token, present = 1",
        operation,
    )


def touch(db: sqlite3.Connection, operation: str) -> None:
    """Tells other processes that something of this operation is new."""
    db.execute("UPDATE operation SET revision = revision + 1 WHERE name = ?", (operation,))


def revisions(db: sqlite3.Connection) -> dict[str, int]:
    """A number for each operation that grows with every write about it."""
    return dict(db.execute("SELECT name, revision FROM operation").fetchall())


def lost(db: sqlite3.Connection) -> Moment | None:
    """When this storage was found to have lost its calls; None when it did not."""
    row = db.execute("SELECT value FROM meta WHERE name = 'lost'").fetchone()
    return None if row is None else Moment(*json.loads(row[0]))


def lose(db: sqlite3.Connection, now: Moment) -> None:
    """Writes down that calls were lost: all of them count as made now."""
    db.execute("REPLACE INTO meta VALUES ('lost', ?)", (json.dumps(now),))


def rebase(db: sqlite3.Connection, now: Moment) -> None:
    """A loss in another boot is told by this one's clock from now on, as calls are."""
    then = lost(db)
    if then is not None and then.boot != now.boot:
        lose(db, budget.later(now, -budget.elapsed(then, now)))
