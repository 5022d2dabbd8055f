"""Rows and memories as compressed JSON, and back. A blob is written only when it changed."""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any, Final, TypeVar

import structlog

from exporter.model import Key, Outcome, Row
from exporter.state import Held, Memory, Recorded

log = structlog.get_logger()

Column = Sequence[str]
Restore = Callable[[Sequence[Column]], Iterable[Row]]  # makes rows from their columns
Part = TypeVar("Part")
SLICE: Final = 1000  # entries that are written in one go
MOST_PACKED: Final = 64 * 1024  # bytes of one answer, packed
PARTS: Final = ("first_seen", "gone", "emptied", "fell_at")  # of a memory
FASTEST = 1  # a fifth of the time of the default, for a tenth more bytes
# What unpacking raises of a blob that was never packed: no zlib, no JSON, another shape, not even bytes.
DAMAGES: Final = (zlib.error, ValueError, TypeError, LookupError)


class Shared:
    """The texts of one snapshot: a thousand connectors share one channel, and their keys in the memory are the same."""

    def __init__(self) -> None:
        self._columns: list[Column] = []

    def keep(self, columns: Iterable[Sequence[str]]) -> Sequence[Column]:
        """The columns of the snapshot, with one text for all equal ones of a column."""
        self._columns = [column if len({*column}) == len(column) else same(column, {}) for column in columns]
        return self._columns

    def find(self, column: Column) -> Column:
        """The column, in the texts that the snapshot has; most are one of its own."""
        known = next((each for each in self._columns if each == column), None)
        return same(column, self.texts) if known is None else known

    @cached_property
    def texts(self) -> dict[str, str]:
        """The texts of the snapshot that was read before, each by itself, and what `same` adds."""
        return {text: text for column in self._columns for text in column}


def same(column: Column, texts: dict[str, str]) -> Column:
    """The column, in place of each text the equal one that came first."""
    return [*map(texts.setdefault, column, column)]


def pack(value: object) -> bytes:
    """JSON, compressed."""
    return compressed(written(value))


def compressed(text: str) -> bytes:
    """The text, packed."""
    return zlib.compress(text.encode(), FASTEST)


def written(value: object) -> str:
    """JSON; a long list by and by, since nothing else can run in this process meanwhile."""
    if isinstance(value, list) and len(value) > SLICE:
        slices = (value[start : start + SLICE] for start in range(0, len(value), SLICE))
        return f"[{','.join(written(some)[1:-1] for some in slices)}]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unpack(blob: bytes) -> Any:
    """What `pack` was given, tuples as lists."""
    return json.loads(zlib.decompress(blob).decode())


def columns(table: Iterable[Iterable[str]]) -> str:
    """JSON of a table, column by column: that is read in half the time."""
    return f"[{','.join([written([*column]) for column in zip(*table, strict=True)])}]"


def pack_rows(rows: Iterable[Row]) -> bytes:
    """The rows' texts by column, in the rows' order."""
    return compressed(f'{{"columns":{columns(rows)}}}')


def unpack_rows(blob: bytes, restore: Restore, shared: Shared) -> tuple[Row, ...]:
    """The rows that were packed."""
    table = unpack(blob)
    by_column = table["columns"] if isinstance(table, dict) else turned(table)  # by row before schema 3
    return tuple(restore(shared.keep(by_column)))


def turned(table: Sequence[Sequence[str]]) -> Sequence[Column]:
    """The columns of a table that is given row by row; ValueError where its rows differ in length, or have none."""
    by_column = [*zip(*table, strict=True)]
    if table and not by_column:
        raise ValueError("rows without columns")
    return by_column


def pack_held(held: Held) -> bytes:
    """Since when an answer is held, and what it lacks."""
    return pack([held.at, [[*row] for row in held.missing]])


def unpack_held(blob: bytes, restore: Restore) -> Held:
    """The held answer that was packed."""
    at, missing = unpack(blob)
    return Held(at, tuple(restore(turned(missing))))


def pack_memory(memory: Memory) -> bytes:
    """The memory; mappings as lists, since JSON has no other keys than texts."""
    gone = [[[*key], at, memory.titles[key]] for key, at in memory.gone.items()]
    emptied = [[[*key], at] for key, at in memory.emptied.items()]
    parts = (by_time(memory.first_seen), *map(written, (gone, emptied, memory.fell_at)))
    named = [f'"{name}":{part}' for name, part in zip(PARTS, parts, strict=True)]
    return compressed(f"{{{','.join(named)}}}")


def by_time(first_seen: Mapping[Key, float]) -> str:
    """JSON of each time with the columns of its keys: few times have many keys."""
    keys: dict[float, list[Key]] = {}
    for key, at in first_seen.items():
        keys.setdefault(at, []).append(key)
    times = [f"[{written(at)},{columns(some)}]" for at, some in keys.items()]
    return f"[{','.join(times)}]"


def unpack_memory(blob: bytes, shared: Shared) -> Memory:
    """The memory that was packed."""
    parts = unpack(blob)
    if isinstance(parts, list):  # before schema 3, with a time beside each key
        parts = dict(zip(PARTS, parts, strict=True))
        first_seen = by_key(parts["first_seen"], shared)
    else:
        first_seen = seen(parts["first_seen"], shared)
    return Memory(
        first_seen=first_seen,
        gone={tuple(key): at for key, at, _ in parts["gone"]},
        titles={tuple(key): title for key, _, title in parts["gone"]},
        emptied=by_key(parts["emptied"], shared),
        fell_at=parts["fell_at"],
    )


def seen(times: Iterable[tuple[float, list[list[str]]]], shared: Shared) -> dict[Key, float]:
    """What `by_time` was given."""
    first_seen: dict[Key, float] = {}
    for at, by_column in times:
        # Without any column it is the one key that has no texts.
        keys = zip(*map(shared.find, by_column), strict=True) if by_column else [()]
        first_seen.update(zip(keys, repeat(at)))
    return first_seen


def pack_answer(answer: Recorded) -> bytes:
    """All of the answer but its list; of a body that takes too much room the start."""
    kept = answer
    while len(packed := pack([*kept[1:]])) > MOST_PACKED:
        kept = kept._replace(body=kept.body[: len(kept.body) * MOST_PACKED * 9 // (len(packed) * 10)])
    return packed


def unpack_answer(blob: bytes, name: str) -> Recorded:
    """The answer that was packed, of the list `name`."""
    at, duration, outcome, status, code, size, body, rejected, detail = unpack(blob)
    return Recorded(name, at, duration, Outcome(outcome), status, code, size, body, tuple(rejected), detail)


def by_key(pairs: Iterable[tuple[list[str], float]], shared: Shared) -> dict[Key, float]:
    """Pairs of a key and a time as a mapping."""
    return {tuple(same(key, shared.texts)): at for key, at in pairs}


class Reader:
    """Stored parts as values. A damaged one is as good as lost, which is said once: the next answer begins anew."""

    def __init__(self, restores: Mapping[str, Restore]) -> None:
        self._restores = restores
        self._damaged: set[tuple[str, str, str]] = set()

    def rows(self, blob: bytes | None, operation: str, name: str, shared: Shared) -> tuple[Row, ...] | None:
        """The rows of a list's snapshot; None where there is none."""
        restore = self._restores[name]
        return self._part(blob, lambda packed: unpack_rows(packed, restore, shared), (operation, name, "snapshot"))

    def held(self, blob: bytes | None, operation: str, name: str) -> Held | None:
        """The held answer of a list; None where there is none."""
        restore = self._restores[name]
        return self._part(blob, lambda packed: unpack_held(packed, restore), (operation, name, "held answer"))

    def memory(self, blob: bytes | None, operation: str, name: str, shared: Shared) -> Memory:
        """The memory of a list, empty where there is none."""
        return self._part(blob, lambda packed: unpack_memory(packed, shared), (operation, name, "memory")) or Memory()

    def answer(self, blob: bytes, operation: str, name: str, number: int) -> Recorded | None:
        """A recorded answer of a list; None where it is damaged."""
        return self._part(blob, lambda packed: unpack_answer(packed, name), (operation, name, f"answer {number}"))

    def _part(
        self, blob: bytes | None, unpack_part: Callable[[bytes], Part], where: tuple[str, str, str]
    ) -> Part | None:
        try:
            part = None if blob is None else unpack_part(blob)
        except DAMAGES as error:
            self._complain(where, error)
            return None
        self._damaged.discard(where)
        return part

    def _complain(self, where: tuple[str, str, str], error: Exception) -> None:
        if where not in self._damaged:
            self._damaged.add(where)
            operation, name, part = where
            log.error(
                "stored part is damaged and counts as lost", operation=operation, list=name, part=part, error=str(error)
            )
