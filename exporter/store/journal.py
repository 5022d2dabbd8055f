"""The SQL of snapshots, changes and counters, inside somebody's transaction."""

import json
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from itertools import product
from operator import itemgetter
from typing import Any, Final, NamedTuple

from exporter.model import DAY, Change, ChangeKind, Row
from exporter.state import NEVER, Ending, Held, Memory, Snapshot, Standing, Tally
from exporter.store import codec, ledger
from exporter.store.codec import Reader, Shared

TABLES: Final = ("call", "standing", "counter", "change", "answer")  # those that name an operation
COLUMNS: Final = "at, list, key, name, kind, before, after, before_name, after_name"
MOST_RECENT: Final = 1000  # changes that are kept in memory; /metrics shows fewer
Parts = Mapping[str, float | bytes | None]  # of a standing, by column
Counters = dict[str, dict[tuple[str, str], int]]  # by name, then by both labels


class Packed(NamedTuple):
    """The large parts of a standing as they are stored, and when its snapshot was last believed."""

    at: float
    rows: bytes | None
    memory: bytes | None
    held: bytes | None


NOTHING: Final = Packed(0.0, None, None, None)


class Belief(NamedTuple):
    """What a readable answer changed; `rows` and `memory` are None where they stay, `at` where nothing was believed."""

    at: float | None = None
    rows: tuple[Row, ...] | None = None
    memory: Memory | None = None
    held: Held | None = None
    changes: tuple[Change, ...] = ()


def packed(belief: Belief) -> Parts:
    """What the belief changes of a standing, by column."""
    parts: dict[str, float | bytes | None] = {"held": codec.pack_held(belief.held) if belief.held else None}
    if belief.at is not None:
        parts["believed_at"] = belief.at
    if belief.rows is not None:
        parts["rows"] = codec.pack_rows(belief.rows)
    if belief.memory is not None:
        parts["memory"] = codec.pack_memory(belief.memory)
    return parts


def believe(db: sqlite3.Connection, operation: str, name: str, belief: Belief, parts: Parts) -> None:
    """Writes the snapshot, what is held and the changes; `parts` is the belief packed."""
    db.execute("INSERT OR IGNORE INTO standing (operation, list) VALUES (?, ?)", (operation, name))
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


def tallies(db: sqlite3.Connection, operations: Collection[str]) -> dict[tuple[str, str], Tally]:
    """All counters of these operations, by operation and list."""
    counters: dict[tuple[str, str], Counters] = {}
    for operation, name, counter, first, second, value in db.execute(
        "SELECT operation, list, name, first, second, value FROM counter"
        " WHERE operation IN (SELECT value FROM json_each(?))",
        (json.dumps([*operations]),),
    ):
        counters.setdefault((operation, name), {}).setdefault(counter, {})[first, second] = value
    return {place: tally(by_name) for place, by_name in counters.items()}


def tally(counters: Counters) -> Tally:
    """The counters of one list of one operation."""
    return Tally(
        polls=sum(counters.get("polls", {}).values()),
        failures=sum(counters.get("failures", {}).values()),
        outcomes={first: value for (first, _), value in counters.get("outcomes", {}).items()},
        responses=counters.get("responses", {}),
        changes=counters.get("changes", {}),
    )


class Stored(NamedTuple):
    """How one list of one operation stands, as it is stored."""

    packed: Packed
    ending: Ending | None
    tally: Tally
    recent: tuple[Change, ...]


def stored(
    db: sqlite3.Connection, operations: Collection[str], lists: Iterable[str], now: float
) -> dict[tuple[str, str], Stored]:
    """How each of these lists of each of these operations stands: one statement for each table."""
    packed, endings = parts(db, operations), ledger.endings(db, operations)
    counted, changed = tallies(db, operations), recent(db, operations, now - DAY)
    return {
        place: Stored(
            packed=packed.get(place, NOTHING),
            ending=endings.get(place),
            tally=counted.get(place, NEVER.tally),
            recent=tuple(changed.get(place, ())),
        )
        for place in product(operations, lists)
    }


def parts(db: sqlite3.Connection, operations: Collection[str]) -> dict[tuple[str, str], Packed]:
    """The large parts of these operations' standings, by operation and list."""
    rows = db.execute(
        "SELECT operation, list, coalesce(believed_at, 0.0), rows, memory, held FROM standing"
        " WHERE operation IN (SELECT value FROM json_each(?))",
        (json.dumps([*operations]),),
    )
    return {(operation, name): Packed(*rest) for operation, name, *rest in rows}


def standing(stored: Stored, operation: str, name: str, reader: Reader) -> Standing:
    """How the list stands; what is damaged counts as lost."""
    packed, shared = stored.packed, Shared()
    known = reader.rows(packed.rows, operation, name, shared)
    return Standing(
        ending=stored.ending,
        snapshot=None if known is None else Snapshot(known, packed.at),
        held=reader.held(packed.held, operation, name),
        memory=reader.memory(packed.memory, operation, name, shared),
        tally=stored.tally,
        recent=stored.recent,
    )


def recent(db: sqlite3.Connection, operations: Collection[str], since: float) -> dict[tuple[str, str], list[Change]]:
    """The changes of these operations since then, by operation and list, each newest first.

    They come by time, as the index has them: to sort them all, SQLite would want room on a disk that may be full.
    """
    found: dict[tuple[str, str], deque[tuple[int, Any]]] = {}
    for operation, number, *row in db.execute(
        f"SELECT operation, id, {COLUMNS} FROM change"  # noqa: S608 - fixed names
        " WHERE operation IN (SELECT value FROM json_each(?)) AND at > ?",
        (json.dumps([*operations]), since),
    ):
        found.setdefault((operation, row[1]), deque(maxlen=MOST_RECENT)).append((number, row))
    return {
        place: [change(tuple(row)) for _, row in sorted(rows, key=itemgetter(0), reverse=True)]
        for place, rows in found.items()
    }


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
