"""What is not as it should be with an operation, each in a sentence with what to do. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from exporter.lists.connectors import NAME as CONNECTORS
from exporter.model import ChangeKind, Outcome
from exporter.pages.frame import counted, shown
from exporter.pages.routes import INTERVALS, Fault, Routes, connectors
from exporter.pages.times import span
from exporter.pages.words import OUTCOMES, REASONS
from exporter.recent import told
from exporter.state import OperationState, Rule, Standing


class Problem(StrEnum):
    """What kind of thing is wrong; the order is that of the summary."""

    FAILING = "failing"
    STALE = "stale"
    RESTING = "resting"
    HELD = "held"
    MISROUTED = "misrouted"
    LACKING = "lacking"


class Note(NamedTuple):
    """One thing that is wrong, and what to do about it, "" where another note says it."""

    problem: Problem
    what: str
    do: str = ""


def notes(state: OperationState, known: Routes, faults: Iterable[Fault], now: float) -> Iterator[Note]:
    """All that is wrong with the operation at `now`, the polls first."""
    yield from failing(state)
    yield from stale(state, now)
    yield from resting(state)
    yield from held(state, now)
    yield from misrouted(state, known, faults)
    yield from lacking(state, now)


def failing(state: OperationState) -> Iterator[Note]:
    """Lists whose last poll failed, those with one outcome together."""
    names: dict[Outcome, list[str]] = {}
    for name in state.intervals:
        ending = state.standing(name).ending
        if ending is not None and ending.outcome.is_failure:
            names.setdefault(ending.outcome, []).append(name)
    for outcome, of in names.items():
        yield Note(Problem.FAILING, f"{', '.join(of)}: {OUTCOMES[outcome].what} ({outcome})", OUTCOMES[outcome].do)


def is_stale(standing: Standing, interval: float, now: float) -> bool:
    """True when nothing was believed for more than three intervals, or not in three polls."""
    if standing.snapshot is None:
        return standing.tally.polls >= INTERVALS
    return now - standing.snapshot.at > INTERVALS * interval


def stale(state: OperationState, now: float) -> Iterator[Note]:
    """Lists of which nothing was believed for long."""
    old = [name for name, interval in state.intervals.items() if is_stale(state.standing(name), interval, now)]
    if old:
        told = ", ".join(f"{name} {for_long(state.standing(name), now)}" for name in old)
        yield Note(Problem.STALE, f"No answer could be believed of {told}.")


def for_long(standing: Standing, now: float) -> str:
    """How long nothing was believed, in words."""
    return "yet" if standing.snapshot is None else f"for {span(now - standing.snapshot.at)}"


def resting(state: OperationState) -> Iterator[Note]:
    """The reserve, and lists that an answer made rest."""
    if state.reserved:
        yield Note(
            Problem.RESTING,
            "Only the reserve is left of the day's calls: polling rests.",
            OUTCOMES[Outcome.QUOTA_EXHAUSTED].do,
        )
    names = [name for name, following in state.next.items() if following.rule is Rule.REST]
    if names:
        yield Note(Problem.RESTING, f"An answer imposed a pause on {', '.join(names)}.")


def held(state: OperationState, now: float) -> Iterator[Note]:
    """Answers that are not believed yet."""
    for name in state.intervals:
        back = state.standing(name).held
        if back is not None:
            lacks = f"lacks {counted(len(back.missing), 'known record')}" if back.missing else "is empty"
            yield Note(
                Problem.HELD,
                f"{name}: the answer of {span(now - back.at)} ago {lacks}. It is held back until the next one agrees.",
                "Look in Manager. If they are there, wait; if not, act as if they were removed.",
            )


def misrouted(state: OperationState, known: Routes, faults: Iterable[Fault]) -> Iterator[Note]:
    """How many connectors lead nowhere and why; or that it cannot be said."""
    for reason, number in Counter(fault.reason for fault in faults).items():
        advice = REASONS[reason]
        yield Note(Problem.MISROUTED, f"{counted(number, 'connector')} {advice.what}.", advice.do)
    if known.fresh is not None and not known.points and any(row.rp_id for row in connectors(state)):
        yield Note(
            Problem.MISROUTED,
            "wolkvox lists no routing point at all: whether connectors lead anywhere cannot be said.",
            "Look in Studio. If there are some, ask wolkvox why the token is not shown them.",
        )


def lacking(state: OperationState, now: float) -> Iterator[Note]:
    """Channels that lost their last connector within a day, or have fewer than `expect` says."""
    standing, expect = state.standing(CONNECTORS), state.operation.expect
    removed = [change.key[0] for change in told(standing.recent, now) if change.kind is ChangeKind.REMOVED]
    if standing.snapshot is None or not (removed or expect):
        return
    counts = Counter(row.channel for row in connectors(state))
    for channel in dict.fromkeys(removed):
        if not counts[channel] and channel not in expect:
            do = "Add it again in Manager, or write expect: {CHANNEL: 0} if that was meant."
            yield Note(Problem.LACKING, f"{shown(channel)}: the last connector was removed.", do)
    for channel, number in expect.items():
        if counts[channel] < number:
            what = f"{shown(channel)}: {counted(counts[channel], 'connector')}, {number:,} expected."
            yield Note(Problem.LACKING, what, "Add what is missing in Manager, or correct expect in the configuration.")
