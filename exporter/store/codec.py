"""Rows and memories as compressed JSON, and back. A blob is written only when it changed."""

import json
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from exporter.model import Key, Row
from exporter.state import Held, Memory

Restore = Callable[[Iterable[str]], Row]
FASTEST = 1  # a fifth of the time of the default, for a tenth more bytes


def pack(value: object) -> bytes:
    """JSON, compressed."""
    return zlib.compress(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), FASTEST)


def unpack(blob: bytes) -> Any:
    """What `pack` was given, tuples as lists."""
    return json.loads(zlib.decompress(blob))


def pack_rows(rows: Iterable[Row]) -> bytes:
    """The rows' texts in their order."""
    return pack([[*row] for row in rows])


def unpack_rows(blob: bytes, restore: Restore) -> tuple[Row, ...]:
    """The rows that were packed."""
    return tuple(map(restore, unpack(blob)))


def pack_held(held: Held) -> bytes:
    """Since when an answer is held, and what it lacks."""
    return pack([held.at, [[*row] for row in held.missing]])


def unpack_held(blob: bytes, restore: Restore) -> Held:
    """The held answer that was packed."""
    at, missing = unpack(blob)
    return Held(at, tuple(map(restore, missing)))


def pack_memory(memory: Memory) -> bytes:
    """The memory; mappings as lists of pairs, since JSON has no other keys than texts."""
    pairs = [[[*key], value] for key, value in memory.first_seen.items()]
    gone = [[[*key], at, memory.titles[key]] for key, at in memory.gone.items()]
    emptied = [[[*key], at] for key, at in memory.emptied.items()]
    return pack([pairs, gone, emptied, memory.fell_at])


def unpack_memory(blob: bytes) -> Memory:
    """The memory that was packed."""
    pairs, gone, emptied, fell_at = unpack(blob)
    return Memory(
        first_seen=by_key(pairs),
        gone={tuple(key): at for key, at, _ in gone},
        titles={tuple(key): title for key, _, title in gone},
        emptied=by_key(emptied),
        fell_at=fell_at,
    )


def by_key(pairs: Iterable[tuple[list[str], float]]) -> dict[Key, float]:
    """Pairs of a key and a time as a mapping."""
    return {tuple(key): at for key, at in pairs}
