"""The connectors of one operation, line by line: those that lead nowhere or are missing first. Pure."""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from exporter.lists.connectors import NAME as CONNECTORS
from exporter.lists.connectors import Connector
from exporter.model import Row
from exporter.pages.frame import LONGEST, shown
from exporter.pages.routes import Fault, Routes, connectors
from exporter.pages.times import When, maybe
from exporter.pages.words import REASONS
from exporter.state import OperationState

MOST: Final = 500  # lines of one table: the rest is found by searching


class Line(NamedTuple):
    """One connector; `fault` and `do` are "" where it leads somewhere, `missing` is since when an answer lacks it."""

    channel: str
    connector_id: str
    name: str
    rp_id: str
    rp_name: str
    fault: str
    flow: str
    do: str
    missing: When | None
    first_seen: When | None


def found(state: OperationState, known: Routes, faults: Collection[Connector], query: str) -> list[Connector]:
    """The connectors that the query is found in; those that need a look come first."""
    wanted = query.strip().casefold()[:LONGEST]
    odd = {*missing(state), *faults}
    rows = [row for row in dict.fromkeys(connectors(state)) if any(wanted in text for text in words(state, known, row))]
    return sorted(rows, key=lambda row: row not in odd)


def words(state: OperationState, known: Routes, row: Connector) -> Iterator[str]:
    """What is shown of a connector, in small letters."""
    texts = (row.channel, row.connector_id, row.rp_id, known.title(row.rp_id), row.name if state.names else "")
    return (text.casefold() for text in texts)


def missing(state: OperationState) -> Collection[Row]:
    """The connectors that a held answer lacks."""
    held = state.standing(CONNECTORS).held
    return held.missing if held else ()


def line(state: OperationState, known: Routes, row: Connector, fault: Fault | None, now: float) -> Line:
    """One connector as the page shows it."""
    standing, advice = state.standing(CONNECTORS), REASONS[fault.reason] if fault else None
    return Line(
        channel=shown(row.channel),
        connector_id=shown(row.connector_id),
        name=shown(row.name) if state.names else "",
        rp_id=shown(row.rp_id),
        rp_name=shown(known.title(row.rp_id)),
        fault=advice.what if advice else "",
        flow=fault.flow if fault else "",
        do=advice.do if advice else "",
        missing=maybe(standing.held.at if standing.held and row in standing.held.missing else None, now),
        first_seen=maybe(standing.memory.first_seen.get(row.key), now),
    )
