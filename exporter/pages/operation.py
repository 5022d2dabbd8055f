"""The page of one operation: its lists, connectors, routing points, journal, and the API's last answers. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from exporter.lists.routing_points import FLOWS
from exporter.model import Change
from exporter.pages.drawing import drawn
from exporter.pages.figures import budget
from exporter.pages.frame import Frame, lines, shown
from exporter.pages.lines import MOST, found, line
from exporter.pages.notes import is_stale, notes
from exporter.pages.routes import connectors, is_active, misrouted, routes, routing_points
from exporter.pages.times import When, due, maybe, span, when
from exporter.pages.words import OUTCOMES, RULES, Advice
from exporter.spec import UpstreamList
from exporter.state import OperationState, Recorded

FLOW_WORDS: Final = {1: "on", 0: "off", None: "?"}


class Records(NamedTuple):
    """What the storage has of an operation: newest first, or the sentence why it could not be read."""

    changes: tuple[Change, ...] = ()
    answers: tuple[Recorded, ...] = ()
    fault: str = ""


class Listed(NamedTuple):
    """How one list stands."""

    name: str
    outcome: str
    advice: Advice | None
    is_failure: bool
    is_stale: bool
    last: When | None
    believed: When | None
    next: When | None
    rule: str
    interval: str
    counts: str


class Point(NamedTuple):
    """One routing point: its flows as words, and how many connectors lead there."""

    rp_id: str
    name: str
    flows: tuple[str, ...]
    connectors: int


class News(NamedTuple):
    """One change."""

    at: When
    key: str
    name: str
    kind: str
    before: str
    after: str


class Answer(NamedTuple):
    """One answer of the API; `body` is None where names may not be shown and it could hold some."""

    at: When
    list: str
    outcome: str
    is_failure: bool
    told: str
    detail: str
    rejected: tuple[str, ...]
    body: str | None


def operation(
    state: OperationState, records: Records, frame: Frame, specs: Mapping[str, UpstreamList], query: str = ""
) -> str:
    """The operation's page; `query` is looked for in what its connectors are called and lead to."""
    now, known = frame.now, routes(state, frame.now)
    faults = misrouted(state, known, now)
    rows = found(state, known, faults, query)
    return drawn(
        "operation.html",
        frame,
        "../",
        name=state.operation.name,
        server=shown(state.operation.server),
        labels=[(shown(name), shown(text)) for name, text in state.operation.labels.items()],
        budget=budget(state),
        notes=list(notes(state, known, faults.values(), now)),
        lists=[listed(state, name, now) for name in state.intervals],
        query=shown(query),
        lines=[line(state, known, row, faults.get(row), now) for row in rows[:MOST]],
        number=len(rows),
        total=len(connectors(state)),
        flows=FLOWS,
        points=list(points(state)),
        changes=[news(change.shown(names=state.names), now) for change in records.changes],
        answers=[answer(each, specs, now, names=state.names) for each in records.answers],
        fault=shown(records.fault, 1000),
        most=MOST,
    )


def listed(state: OperationState, name: str, now: float) -> Listed:
    """How the list stands at `now`."""
    standing, interval, following = state.standing(name), state.intervals[name], state.next.get(name)
    ending = standing.ending
    return Listed(
        name=name,
        outcome=str(ending.outcome) if ending else "",
        advice=OUTCOMES[ending.outcome] if ending else None,
        is_failure=ending is not None and ending.outcome.is_failure,
        is_stale=is_stale(standing, interval, now),
        last=maybe(ending.finished if ending else None, now),
        believed=maybe(standing.snapshot.at if standing.snapshot else None, now),
        next=due(following.at if following else None, now),
        rule=RULES[following.rule] if following else "",
        interval=span(interval),
        counts=f"{ending.records:,} / {ending.rejected:,} / {ending.duplicates:,}" if ending else "",
    )


def points(state: OperationState) -> Iterator[Point]:
    """The routing points, as many as a page holds."""
    leading = Counter(row.rp_id for row in connectors(state))
    for point in islice(dict.fromkeys(routing_points(state)), MOST):
        flows = tuple([FLOW_WORDS[is_active([point], flow)] for flow in FLOWS])
        yield Point(shown(point.rp_id), shown(point.rp_name), flows, leading[point.rp_id])


def news(change: Change, now: float) -> News:
    """One change as the page shows it."""
    return News(
        at=when(change.at, now),
        key=shown(" ".join(change.key)),
        name=shown(change.name),
        kind=str(change.kind),
        before=named(change.before, change.before_name),
        after=named(change.after, change.after_name),
    )


def named(text: str, name: str) -> str:
    """An id with its name, if it has one."""
    return f"{shown(text)} ({shown(name)})" if name else shown(text)


def answer(recorded: Recorded, specs: Mapping[str, UpstreamList], now: float, *, names: bool) -> Answer:
    """One answer as the page shows it."""
    spec = specs.get(recorded.list)
    is_private = not names and (spec is None or bool(spec.private))
    return Answer(
        at=when(recorded.at, now),
        list=shown(recorded.list),
        outcome=str(recorded.outcome),
        is_failure=recorded.outcome.is_failure,
        told=" · ".join(facts(recorded)),
        detail=shown(recorded.detail, 1000),
        rejected=tuple([shown(reason) for reason in recorded.rejected]),
        body=None if is_private else lines(recorded.body),
    )


def facts(recorded: Recorded) -> Iterable[str]:
    """What came, in short."""
    yield "no HTTP status" if recorded.status is None else f"HTTP {recorded.status}"
    if recorded.code is not None:
        yield f"code {shown(recorded.code, 20)}"
    yield f"{recorded.duration:.2f} s"
    yield f"{recorded.size:,} bytes"
