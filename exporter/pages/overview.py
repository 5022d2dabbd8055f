"""The page of all operations: one line each, a summary above them, and a filter. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, urlencode

from exporter.lists.connectors import NAME as CONNECTORS
from exporter.pages.drawing import drawn
from exporter.pages.figures import Budget, Channel, budget, changes, channels
from exporter.pages.frame import LONGEST, Frame, shown
from exporter.pages.notes import Note, Problem, notes
from exporter.pages.routes import connectors, misrouted, routes
from exporter.pages.times import When, due, maybe
from exporter.state import OperationState, State

PROBLEMS: Final = "problems"
CHANGED: Final = "changed"
SHOWN: Final[Mapping[str, str]] = {
    "": "all operations",
    PROBLEMS: "with a problem",
    Problem.FAILING: "failing: the last poll of a list failed",
    Problem.STALE: "stale: nothing believed for three intervals",
    Problem.RESTING: "resting: an answer, or the reserve, imposed a pause",
    Problem.HELD: "held: an answer is not believed yet",
    Problem.MISROUTED: "misrouted: a connector leads nowhere",
    Problem.LACKING: "lacking: a channel is empty or has too few connectors",
    CHANGED: "changed within a day",
}


class Line(NamedTuple):
    """One operation as the table shows it; times are of its connectors."""

    name: str
    link: str
    server: str
    labels: tuple[str, ...]
    marks: frozenset[str]
    badges: tuple[str, ...]
    notes: tuple[Note, ...]
    last: When | None
    next: When | None
    believed: When | None
    budget: Budget | None
    channels: tuple[Channel, ...]
    changes: tuple[str, ...]


class Tile(NamedTuple):
    """One figure of the summary and the filter that shows what it counts."""

    number: str
    word: str
    link: str
    is_bad: bool


class Choice(NamedTuple):
    """One of the things that may be shown."""

    value: str
    text: str
    is_chosen: bool


def overview(state: State, frame: Frame, query: str = "", show: str = "") -> str:
    """The page of the operations in `state`; `query` is looked for in names and connectors, `show` is one of `SHOWN`.

    What `show` does not know shows all.
    """
    found = [line(each, frame.now, link) for each, link in matching(state, query)]
    lines = [each for each in found if not show or show not in SHOWN or show in each.marks]
    return drawn(
        "overview.html",
        frame,
        "",
        query=shown(query),
        choices=[Choice(value, text, value == show) for value, text in SHOWN.items()],
        is_filtered=bool(query or show),
        tiles=tiles(found, query.strip()),
        lines=lines,
        total=len(state.operations),
        storage_healthy=state.storage_healthy,
    )


def line(state: OperationState, now: float, link: str) -> Line:
    """One operation's line."""
    known = routes(state, now)
    told = tuple(notes(state, known, misrouted(state, known, now).values(), now))
    news = tuple(changes(state, now))
    badges = tuple(dict.fromkeys([str(note.problem) for note in told]))
    standing, following = state.standing(CONNECTORS), state.next.get(CONNECTORS)
    return Line(
        name=shown(state.operation.name),
        link=link,
        server=shown(state.operation.server),
        labels=tuple([f"{shown(name)}: {shown(text)}" for name, text in state.operation.labels.items()]),
        marks=frozenset([*badges, *([PROBLEMS] if told else ()), *([CHANGED] if news else ())]),
        badges=badges,
        notes=told,
        last=maybe(standing.ending.finished if standing.ending else None, now),
        next=due(following.at if following else None, now),
        believed=maybe(standing.snapshot.at if standing.snapshot else None, now),
        budget=budget(state),
        channels=channels(state, known),
        changes=news,
    )


def matching(state: State, query: str) -> Iterator[tuple[OperationState, str]]:
    """The operations that the query finds, each with the link to its page; a connector that was found stays found."""
    wanted = query.strip().casefold()[:LONGEST]
    for each in state.operations:
        link = f"operations/{quote(each.operation.name, safe='')}"
        if wanted in each.operation.name.casefold():
            yield each, link
        elif any(wanted in text.casefold() for text in words(each)):
            yield each, f"{link}?{urlencode({'q': query.strip()})}#connectors"


def words(state: OperationState) -> Iterable[str]:
    """The texts of an operation's connectors that may be searched; names where they may be shown."""
    for row in connectors(state):
        yield row.channel
        yield row.connector_id
        if state.names:
            yield row.name


def tiles(lines: Iterable[Line], query: str) -> list[Tile]:
    """The summary of what the query found: how many operations, how many with each problem, how many that changed."""
    found = list(lines)
    marks = Counter(mark for each in found for mark in each.marks)
    asked = {"q": query} if query else {}
    words = {each: str(each) for each in Problem} | {CHANGED: "changed within a day"}
    return [
        Tile(f"{len(found):,}", "operation" if len(found) == 1 else "operations", "./", is_bad=False),
        *(
            Tile(
                f"{marks[mark]:,}", word, f"?{urlencode({**asked, 'show': mark})}", marks[mark] > 0 and mark != CHANGED
            )
            for mark, word in words.items()
        ),
    ]
