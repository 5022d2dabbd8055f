"""The figures of one operation: calls left of the day, connectors per channel, changes of the last day. Pure."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from exporter.lists.connectors import NAME as CONNECTORS
from exporter.lists.token_info import NAME as TOKEN_INFO
from exporter.lists.token_info import left
from exporter.model import DAY
from exporter.pages.frame import shown
from exporter.pages.routes import Routes
from exporter.records import number as figure
from exporter.state import OperationState


class Budget(NamedTuple):
    """Calls of the day: what is left by the safe reading less our own since, and what may be made; "" if unknown."""

    left: str
    limit: str
    reserve: str


class Channel(NamedTuple):
    """How many connectors a channel has; 0 where it had some within the retention. `expected` is "" for any number."""

    name: str
    number: int
    expected: str


def budget(state: OperationState) -> Budget | None:
    """The calls of the operation's token; None where its figures are not known."""
    snapshot = state.standing(TOKEN_INFO).snapshot
    if snapshot is None or not snapshot.rows:
        return None
    row = snapshot.rows[0]
    reading, limit = left(row), figure(next(iter(row)))
    rest = None if reading is None else max(0.0, reading - state.spent)
    return Budget(written(rest), written(limit), written(state.reserve or None))


def written(count: float | None) -> str:
    """A count for people, "" for an unknown one."""
    return "" if count is None else f"{count:,.0f}"


def channels(state: OperationState, known: Routes) -> tuple[Channel, ...]:
    """The operation's channels in the order of the alphabet."""
    totals = Counter({channel: 0 for channel, *_ in state.standing(CONNECTORS).memory.emptied})
    for (channel, _), number in known.pairs.items():
        totals[channel] += number
    expect = state.operation.expect
    names = sorted({*totals, *expect})
    return tuple([Channel(shown(name), totals[name], written(expect.get(name))) for name in names])


def changes(state: OperationState, now: float) -> Iterator[str]:
    """How many changes of each kind there were in the day before now, as in "2 removed"."""
    kinds = Counter(
        change.kind for standing in state.standings.values() for change in standing.recent if now - change.at < DAY
    )
    return (f"{number:,} {kind}" for kind, number in kinds.items())
