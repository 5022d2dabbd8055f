"""What one answer means: from an answer and what was known to what must be written down. Pure.

Knows no list by name, no schedule of others, no storage.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from operator import attrgetter
from typing import Final, NamedTuple

from exporter.believe import Reading, believe, read
from exporter.diff import Title, diff
from exporter.memory import remember
from exporter.model import DAY, Answer, Change, Outcome, Row
from exporter.spec import UpstreamList
from exporter.state import Ending, Held, Memory, Snapshot, Standing, Tally

MOST_DIGITS: Final = 3  # of a body's code that becomes a label


class Trust(NamedTuple):
    """How answers are believed: the share of a mass removal, and the seconds for which the gone are remembered."""

    mass_removal: float
    retention: float


class Meaning(NamedTuple):
    """One answer, understood.

    `outcome` is the answer's, or worse where no row could be read. `reading` is None after a failure. `snapshot` is
    what is believed from now on, `believed` whether this answer is part of it.
    """

    outcome: Outcome
    reading: Reading | None
    snapshot: Snapshot | None
    held: Held | None
    memory: Memory
    changes: tuple[Change, ...] = ()
    believed: bool = False


def understand(
    answer: Answer, spec: UpstreamList, standing: Standing, trust: Trust, now: float, title: Title
) -> Meaning:
    """The answer's meaning where the list stood so; a failure leaves snapshot, memory and what is held as they are."""
    failed = Meaning(answer.outcome, None, standing.snapshot, standing.held, standing.memory)
    if answer.outcome.is_failure:
        return failed
    reading = read(answer.records, spec.parse, spec.key)
    if reading.records and not reading.rows:
        return failed._replace(outcome=Outcome.MALFORMED, reading=reading)
    known = standing.snapshot.rows if standing.snapshot else None
    verdict = believe(known, standing.held, reading, trust.mass_removal, now)
    if verdict.rows is None:
        return failed._replace(reading=reading, held=verdict.held)
    rows = kept(known or (), verdict.rows)
    return Meaning(
        outcome=answer.outcome,
        reading=reading,
        snapshot=Snapshot(rows, now),
        held=verdict.held,
        memory=remember(standing.memory, known or (), rows, spec, now, trust.retention),
        changes=() if known is None or rows is known else diff(known, rows, spec, now, title),
        believed=True,
    )


def kept(known: tuple[Row, ...], rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows, in place of each the equal one that was known: memory that lasts is not mixed with an answer's.

    Where all are equal it is what was known itself, by which others see at a glance that nothing changed.
    """
    if rows == known:
        return known
    same = dict(zip(known, known, strict=True))
    return tuple(map(same.get, rows, rows))


def stands(standing: Standing, meaning: Meaning, ending: Ending, tally: Tally) -> Standing:
    """How the list stands afterwards; of its changes those of the last day are kept at hand."""
    return replace(
        standing,
        ending=ending,
        snapshot=meaning.snapshot,
        held=meaning.held,
        memory=meaning.memory,
        tally=tally,
        recent=(
            *reversed(meaning.changes),
            *(change for change in standing.recent if change.at > ending.finished - DAY),
        ),
    )


def response(answer: Answer) -> tuple[str, str]:
    """HTTP status and the body's code as the counters tell them: few different texts, whatever the world sends."""
    status = "none" if answer.status is None else str(answer.status)
    return status, code_label(answer.code)


def code_label(code: str | None) -> str:
    """Up to three digits as they are, "none" where there was no code, "other" for all else."""
    if not code:
        return "none"
    return code if code.isascii() and code.isdigit() and len(code) <= MOST_DIGITS else "other"


def titles(rows: tuple[Row, ...], memory: Memory) -> Callable[[str], str]:
    """The last known name by id, of present rows and of gone ones."""
    names = {key[0]: name for key, name in memory.titles.items() if key}
    names |= {row.key[0]: row.title for row in rows if row.key}
    return lambda text: names.get(text, "")


def unknown(spec: UpstreamList, standing: Standing, referred: Standing) -> frozenset[str]:
    """The ids that believed rows refer to and that the other list's snapshot does not have."""
    if standing.snapshot is None or referred.snapshot is None:
        return frozenset()
    fields = [watch.field for watch in spec.watches if watch.refers_to]
    asked = set(chain(*(map(attrgetter(field), standing.snapshot.rows) for field in fields)))
    return frozenset(asked - {""} - {row.key[0] for row in referred.snapshot.rows})
