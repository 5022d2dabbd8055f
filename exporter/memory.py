"""What is remembered of entities that came and went. Pure: a memory and two snapshots give the next memory."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from exporter.model import Key, Row
from exporter.records import number
from exporter.spec import UpstreamList
from exporter.state import Memory

Known = TypeVar("Known")


def remember(
    memory: Memory, before: Sequence[Row], after: Sequence[Row], spec: UpstreamList, now: float, retention: float
) -> Memory:
    """The memory after `after` was believed in place of `before`; what is gone longer than `retention` is dropped.

    Where nothing is new it is the memory itself, by which others see at a glance that nothing changed.
    """
    if is_settled(memory, before, after):
        return memory
    old, new = titles(before), titles(after)
    gone = departed(memory.gone, old, new, now, retention)
    called = {**memory.titles, **old}
    first_seen = dict.fromkeys((*new, *gone), now) | dict(memory.first_seen)  # a damaged memory knows none of them
    made = Memory(
        first_seen={key: first_seen[key] for key in (*new, *gone)},
        gone=gone,
        titles={key: called[key] for key in gone},
        emptied=departed(memory.emptied, groups(before, spec), groups(after, spec), now, retention),
        fell_at=now if fell(before, after, spec.falls) else memory.fell_at,
    )
    return memory if made == memory else made


def is_settled(memory: Memory, before: Sequence[Row], after: Sequence[Row]) -> bool:
    """True when nothing came or went and nothing is remembered but what is there."""
    if after is not before or memory.gone or memory.titles or memory.emptied:
        return False
    return memory.first_seen.keys() == {row.key for row in after}


def titles(rows: Iterable[Row]) -> dict[Key, str]:
    """What each key is called."""
    return {row.key: row.title for row in rows}


def groups(rows: Iterable[Row], spec: UpstreamList) -> set[Key]:
    """The groups that have an entity; none where the list counts nothing together."""
    return {spec.group(row) for row in rows} if spec.group else set()


def departed(
    past: Mapping[Known, float], old: Collection[Known], new: Collection[Known], now: float, retention: float
) -> dict[Known, float]:
    """Since when each of the past and old is no longer among the new; those within the retention."""
    since = {known: past.get(known, now) for known in (*past, *old) if known not in new}
    return {known: at for known, at in since.items() if now - at < retention}


def fell(before: Sequence[Row], after: Sequence[Row], field: str) -> bool:
    """True when the field, a counter of the vendor's, is readable on both sides and lower than it was."""
    if not field or not before or not after:
        return False
    old, new = (number(getattr(rows[0], field)) for rows in (before, after))
    return old is not None and new is not None and new < old
