"""Which changes are still told: what alerts and annotations read. Pure: a list's latest changes and a time."""

from collections.abc import Iterable
from typing import Final

from exporter.model import DAY, Change, ChangeKind

MOST: Final = 100  # series of one operation: a mass change must not become a mass of series
UNDONE_BY: Final = {ChangeKind.REMOVED: ChangeKind.ADDED, ChangeKind.ADDED: ChangeKind.REMOVED}


def told(changes: Iterable[Change], now: float) -> tuple[Change, ...]:
    """The changes that are told at `now`, newest first; `changes` is newest first too.

    Of each entity the newest of a kind, for a day; a removal ends when the key returns, and the other way round. Of
    more than a hundred the renames go first, then the oldest.
    """
    newest: dict[tuple[tuple[str, ...], ChangeKind], Change] = {}
    for change in changes:
        undoing = UNDONE_BY.get(change.kind)
        if now - change.at < DAY and (undoing is None or (change.key, undoing) not in newest):
            newest.setdefault((change.key, change.kind), change)
    kept = sorted(newest.values(), key=lambda change: (change.kind is ChangeKind.RENAMED, -change.at))[:MOST]
    return tuple(sorted(kept, key=lambda change: -change.at))


def expiry(changes: Iterable[Change], now: float) -> float | None:
    """When the next of the told changes ends by its age, Unix seconds; None when none is told."""
    return min((change.at + DAY for change in told(changes, now)), default=None)
