"""The SQL of snapshots, changes and counters, inside somebody's transaction."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Final, NamedTuple

from exporter.model import DAY, Change, ChangeKind, Row
from exporter.state import Held, Memory, Snapshot, Standing, Tally
from exporter.store import codec, ledger
from exporter.store.codec import Reader, Shared

TABLES: Final = ("call", "standing", "counter", "change", "answer")  # those that name an operation
COLUMNS: Final = "at, list, key, name, kind, before, after, before_name, after_name"
MOST_RECENT: Final = 1000  # changes that are kept in memory; /metrics shows fewer


class Belief(NamedTuple):
    """What a readable answer changed; `rows` and `memory` are None where they stay, `at` where nothing was believed."""

    at: float | None = None
    rows: tuple[Row, ...] | None = None
    memory: Memory | None = None
    held: Held | None = None
    changes: tuple[Change, ...] = ()


def believe(db: sqlite3.Connection, operation: str, name: str, belief: Belief) -> None:
    """Writes the snapshot, what is held and the changes."""
    db.execute("INSERT OR IGNORE INTO standing (operation, list) VALUES (?, ?)", (operation, name))
    parts: dict[str, float | bytes | None] = {"held": codec.pack_held(belief.held) if belief.held else None}
    if belief.at is not None:
        parts["believed_at"] = belief.at
    if belief.rows is not None:
        parts["rows"] = codec.pack_rows(belief.rows)
    if belief.memory is not None:
        parts["memory"] = codec.pack_memory(belief.memory)
    assignments = ", ".join(f"{part} = ?" for part in parts)
    db.execute(
        f"UPDATE standing SET {assignments} WHERE operation = ? AND list = ?",  # noqa: S608 - fixed names
        (*parts.values(), operation, name),
    )
    for change in belief.changes:
        db.execute(
            f"INSERT INTO change (operation, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - fixed names
            (operation, *change[:2], json.dumps(change.key, ensure_ascii=False), *change[3:]),
        )
        count(db, operation, name, "changes", change.key[0], change.kind)


def count(db: sqlite3.Connection, operation: str, name: str, counter: str, first: str = "", second: str = "") -> None:
    """Adds one to a counter."""
    db.execute(
        "INSERT INTO counter VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT DO UPDATE SET value = value + 1",
        (operation, name, counter, first, second),
    )


def tally(db: sqlite3.Connection, operation: str, name: str) -> Tally:
    """All counters of one list of one operation."""
    by_name: dict[str, dict[tuple[str, str], int]] = {}
    for counter, first, second, value in db.execute(
        "SELECT name, first, second, value FROM counter WHERE operation = ? AND list = ?", (operation, name)
    ):
        by_name.setdefault(counter, {})[first, second] = value
    return Tally(
        polls=sum(by_name.get("polls", {}).values()),
        failures=sum(by_name.get("failures", {}).values()),
        outcomes={first: value for (first, _), value in by_name.get("outcomes", {}).items()},
        responses=by_name.get("responses", {}),
        changes=by_name.get("changes", {}),
    )


def standing(db: sqlite3.Connection, operation: str, name: str, reader: Reader, now: float) -> Standing:
    """How the list stands, as stored; what is damaged counts as lost."""
    row = db.execute(
        "SELECT believed_at, rows, memory, held FROM standing WHERE operation = ? AND list = ?", (operation, name)
    ).fetchone()
    at, rows, memory, held = row or (0.0, None, None, None)
    shared = Shared()
    known = reader.rows(rows, operation, name, shared)
    return Standing(
        ending=ledger.ending(db, operation, name),
        snapshot=None if known is None else Snapshot(known, at),
        held=reader.held(held, operation, name),
        memory=reader.memory(memory, operation, name, shared),
        tally=tally(db, operation, name),
        recent=tuple(recent(db, operation, name, now - DAY)),
    )


def recent(db: sqlite3.Connection, operation: str, name: str, since: float) -> Iterator[Change]:
    """The list's changes since then, newest first."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM change WHERE operation = ? AND list = ? AND at > ? ORDER BY id DESC LIMIT ?",  # noqa: S608 - fixed names
        (operation, name, since, MOST_RECENT),
    )
    return (change(row) for row in rows.fetchall())


def changes(db: sqlite3.Connection, since: float, operation: str | None, limit: int) -> list[tuple[str, Change]]:
    """The changes of every operation, or of one, newest first."""
    rows = db.execute(
        f"SELECT operation, {COLUMNS} FROM change WHERE at > ?1 AND (?2 IS NULL OR operation = ?2)"  # noqa: S608 - fixed names
        " ORDER BY id DESC LIMIT ?3",
        (since, operation, limit),
    )
    return [(row[0], change(row[1:])) for row in rows.fetchall()]


def change(row: tuple[float, str, str, str, str, str, str, str, str]) -> Change:
    """A row of `COLUMNS` as a change."""
    at, name, key, title, kind, *rest = row
    return Change(at, name, tuple(json.loads(key)), title, ChangeKind(kind), *rest)
