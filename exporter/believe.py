"""What an answer is believed to say. Pure: knows rows and keys, no list, no clock.

The API answers "nothing" where a list is empty and sometimes for no reason, so absence is not proof: an answer that
lacks much is held until the next readable one says the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from exporter.model import Key, Row
from exporter.records import fault
from exporter.state import Held

MOST_ROWS: Final = 60_000  # the API cuts a list there and does not say so
FEW: Final = 3  # fewer missing entities than this are no mass removal
MOST_REASONS: Final = 20  # rejected records of which it is said why


class Reading(NamedTuple):
    """One readable answer: its distinct rows in their order, and what was odd about it.

    `reasons` says of the first rejected records why, each in a sentence; the first record of an answer is record 1.
    """

    rows: tuple[Row, ...]
    records: int
    rejected: int
    duplicates: int
    reasons: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """True when something may be missing from it: it proves presence, not absence."""
        return self.rejected > 0 or self.records >= MOST_ROWS


class Verdict(NamedTuple):
    """`rows` is the snapshot to believe from now on, None where the known one stays; `held` what is held back."""

    rows: tuple[Row, ...] | None
    held: Held | None


def read(
    records: Sequence[object], parse: Callable[[Mapping[object, object]], Row | None], key: Sequence[str] = ()
) -> Reading:
    """The answer's rows one by one: what has no key is rejected, what has a key that came before is a duplicate.

    An exact duplicate stands once in `rows`; rows with one key and different contents are all kept. `key` names the
    fields of a key, for the reasons.
    """
    parsed = [parse(record) if isinstance(record, Mapping) else None for record in records]
    rows = [row for row in parsed if row is not None]
    return Reading(
        rows=tuple(dict.fromkeys(rows)),
        records=len(records),
        rejected=len(parsed) - len(rows),
        duplicates=len(rows) - len(keys(rows)),
        reasons=tuple(islice(reasons(records, parsed, key), MOST_REASONS)) if len(rows) < len(parsed) else (),
    )


def reasons(records: Iterable[object], parsed: Iterable[Row | None], key: Sequence[str]) -> Iterator[str]:
    """Of each record that gave no row, why."""
    for place, (record, row) in enumerate(zip(records, parsed, strict=True), 1):
        if row is None:
            yield f"record {place}: {fault(record, key)}"


def keys(rows: Iterable[Row]) -> set[Key]:
    """The keys of the rows."""
    return {row.key for row in rows}


def missing(known: Iterable[Row], shown: Iterable[Row]) -> tuple[Row, ...]:
    """The known rows whose key is not shown."""
    if known == shown:
        return ()
    present = keys(shown)
    return tuple(row for row in known if row.key not in present)


def is_mass(known: Iterable[Row], lacking: Iterable[Row], mass_removal: float) -> bool:
    """True when more than the share `mass_removal` of the known entities is lacking, and at least three of them."""
    gone = len(keys(lacking))
    return gone >= FEW and gone > mass_removal * len(keys(known))


def merged(known: Iterable[Row], shown: Sequence[Row]) -> tuple[Row, ...]:
    """The shown rows, and the known ones that they say nothing of."""
    return (*shown, *missing(known, shown))


def believe(
    known: tuple[Row, ...] | None, held: Held | None, reading: Reading, mass_removal: float, now: float
) -> Verdict:
    """What to believe after a readable answer; `known` is None before the first snapshot.

    A partial answer may add and change but removes nothing, and leaves a held one as it is but for what it shows.
    """
    if reading.is_partial:
        still = missing(held.missing, reading.rows) if held else ()
        return Verdict(merged(known or (), reading.rows), Held(held.at, still) if held and still else None)
    lacking = missing(known or (), reading.rows)
    empty = not reading.rows and known != ()
    if held is None and (empty or is_mass(known or (), lacking, mass_removal)):
        return Verdict(None, Held(now, lacking))
    return Verdict(reading.rows, None)
