"""Changes between two believed snapshots of one list. Pure: knows which fields are watched, not what they mean."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from exporter.model import Change, ChangeKind, Key, Row
from exporter.spec import UpstreamList, Watch

Title = Callable[[str, str], str]  # (list, id) -> the last known name of what is referred to; "" where there is none


def diff(
    before: Iterable[Row], after: Iterable[Row], spec: UpstreamList, at: float, title: Title
) -> tuple[Change, ...]:
    """What differs, ordered by key; empty when nothing that is watched does. `at` is stamped on each change.

    Rows that share a key are compared as sets, field by field, their texts joined with ", ". An entity that comes or
    goes is told with the text of the first watched field.
    """
    if not spec.watches:
        return ()
    was, is_now = tuple(before), tuple(after)
    touched = {row.key for row in set(was) ^ set(is_now)}
    old, new = (by_key(row for row in rows if row.key in touched) for rows in (was, is_now))
    return tuple(
        change
        for key in sorted(touched)
        for change in compare(
            old.get(key, []), new.get(key, []), spec.watches, partial(Change, at, spec.name, key), title
        )
    )


def by_key(rows: Iterable[Row]) -> Mapping[Key, list[Row]]:
    """The rows of each key, in their order."""
    grouped: defaultdict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.key].append(row)
    return grouped


def compare(
    old: list[Row], new: list[Row], watches: tuple[Watch, ...], change: Callable[..., Change], title: Title
) -> Iterator[Change]:
    """The changes of one key; `change` has its time, list and key already."""
    name = joined(row.title for row in new or old)
    if not old or not new:
        kind = ChangeKind.REMOVED if old else ChangeKind.ADDED
        yield told(partial(change, name, kind), watches[0], old, new, title)
        return
    for watch in watches:
        if texts(old, watch.field) != texts(new, watch.field):
            yield told(partial(change, name, watch.kind), watch, old, new, title)


def told(
    change: Callable[[str, str, str, str], Change], watch: Watch, old: list[Row], new: list[Row], title: Title
) -> Change:
    """The change with the watched field before and after, and the names of what the field refers to."""
    before, after = texts(old, watch.field), texts(new, watch.field)
    names = [
        joined(title(watch.refers_to, text) for text in side) if watch.refers_to else "" for side in (before, after)
    ]
    return change(listed(before), listed(after), *names)


def texts(rows: Iterable[Row], field: str) -> list[str]:
    """The field's distinct texts, sorted."""
    return sorted({getattr(row, field) for row in rows})


def listed(parts: list[str]) -> str:
    """One text as it is; several together, a blank one as a dash."""
    return parts[0] if len(parts) == 1 else ", ".join(part or "-" for part in parts)


def joined(parts: Iterable[str]) -> str:
    """The distinct parts that are not blank, in their order."""
    return ", ".join(dict.fromkeys(filter(None, parts)))
