"""States for the status pages: one operation with everything that can be wrong, and a crowd of a thousand."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from conftest import INTERVALS

from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import RoutingPoint
from exporter.lists.token_info import TokenInfo
from exporter.model import Change, ChangeKind, Operation, Outcome
from exporter.server import Server, bound
from exporter.site import Site
from exporter.state import (
    Ending,
    Held,
    Memory,
    Next,
    OperationState,
    Recorded,
    Rule,
    Snapshot,
    Standing,
    State,
    Tally,
)
from exporter.web import Application

NOW: Final = 1_795_514_098.0  # 2026-11-24 09:54:58 UTC
POINTS: Final = (
    RoutingPoint("5", "Main menu", "yes", "yes", "no", "no"),
    RoutingPoint("6", "Night desk", "yes", "no", "yes", "no"),
)
LINES: Final = (
    Connector("whatsapp", "12", "5", "Sales"),
    Connector("whatsapp", "14", "6", "Bookings"),
    Connector("email", "13", "6", "Inbox"),
)
HOSTILE: Final = '<script>alert("x")</script>\x00\x1b[31m\u202egnp.exe\ud800'


def ended(outcome: Outcome, ago: float = 60.0) -> Ending:
    return Ending(outcome, NOW - ago - 0.4, NOW - ago, 0.4, records=3)


def standing(rows: tuple[Any, ...], ago: float = 60.0, **changes: Any) -> Standing:
    """A list that was polled and believed so many seconds ago; its rows are known for a week."""
    memory = Memory(first_seen={row.key: NOW - 604_800 for row in rows})
    values: dict[str, Any] = {"ending": ended(Outcome.OK, ago), "snapshot": Snapshot(rows, NOW - ago), "memory": memory}
    return Standing(**values | {"tally": Tally(polls=9)} | changes)


def operation(name: str = "acme", **changes: Any) -> OperationState:
    """An operation that is well: two lines on one routing point, its three lists polled a minute ago."""
    values: dict[str, Any] = {
        "operation": Operation(name, "0010", {"country": "co"}),
        "intervals": INTERVALS,
        "standings": {
            "connectors": standing((LINES[0], LINES[2])),
            "routing_points": standing(POINTS),
            "token_info": standing((TokenInfo("1000", "388", "", "612"),)),
        },
        "next": {each: Next(NOW + seconds - 60, Rule.INTERVAL) for each, seconds in INTERVALS.items()},
        "spent": 2,
        "reserve": 100,
        "at": NOW,
    }
    return OperationState(**values | changes)


def altered(state: OperationState, listed: str = "connectors", **changes: Any) -> OperationState:
    """The operation with one list standing otherwise."""
    return replace(state, standings={**state.standings, listed: replace(state.standing(listed), **changes)})


def change(kind: ChangeKind, line: Connector = LINES[0], ago: float = 3600.0, **sides: str) -> Change:
    values = {"before": "", "after": "", "before_name": "", "after_name": ""} | sides
    return Change(NOW - ago, "connectors", line.key, line.name, kind, **values)


def troubled(name: str = "trouble") -> OperationState:
    """An operation with every problem, whose texts are hostile."""
    odd = Connector("whatsapp", "666", "5", HOSTILE * 8)
    lines = (*LINES, odd, Connector("telegram", "15", "77", "Bot"), Connector("email", "16", "", "Lost"))
    base = operation(name, reserved=True, next={"token_info": Next(NOW + 3600, Rule.REST)})
    base = replace(base, operation=Operation(name, "0010", {"x": HOSTILE}, {"instagram": 2}))
    base = altered(
        base,
        ending=ended(Outcome.TOKEN_REJECTED),
        snapshot=Snapshot(lines, NOW - 4000),
        held=Held(NOW - 90, (LINES[0], odd)),
        recent=(
            change(ChangeKind.REROUTED, LINES[1], before="5", after="6", after_name="Night desk"),
            change(ChangeKind.REMOVED, Connector("sms", "9", "5", "Gone"), before="5"),
        ),
    )
    return altered(
        base, "routing_points", snapshot=Snapshot((*POINTS, RoutingPoint("8", HOSTILE, "?", "", "", "")), NOW)
    )


def answers() -> list[Recorded]:
    """Answers as the flight recorder keeps them, newest first."""
    body = '{"code":"200","data":[{"channel":"whatsapp","connector_id":"12","name":"Sales"}]}'
    return [
        Recorded("connectors", NOW - 60, 0.31, Outcome.OK, 200, "200", 12_345, body, ("record 3 has no connector_id",)),
        Recorded("connectors", NOW - 360, 5.0, Outcome.UNREACHABLE, None, None, 0, "", detail="connection refused"),
        Recorded("token_info", NOW - 960, 0.2, Outcome.FORBIDDEN, 403, None, 20, f"<html>\n{HOSTILE}"),
    ]


FAILURES: Final[Mapping[int, Outcome]] = {3: Outcome.TOKEN_REJECTED, 31: Outcome.UNREACHABLE, 57: Outcome.FORBIDDEN}


def crowd(operations: int = 1000, connectors: int = 100) -> State:
    """So many operations with so many connectors each; some fail, some have a connector that leads nowhere."""
    return State(tuple(one_of(number, connectors) for number in range(operations)), created=NOW - 86_400)


def one_of(number: int, connectors: int) -> OperationState:
    channels = ("whatsapp", "chat-web", "telegram", "email")
    rows = tuple(
        Connector(channels[each % 4], str(1000 * number + each), "5" if each % 4 < 3 else "6", f"Line {each}")
        for each in range(connectors)
    )
    if number % 17 == 0:
        rows = (rows[0]._replace(rp_id="99"), *rows[1:])
    ago = number * 37 % 300
    made = operation(f"operation-{number:04}", standings={**operation().standings, "connectors": standing(rows, ago)})
    if (outcome := FAILURES.get(number % 100)) is not None:
        made = altered(made, ending=ended(outcome, ago), snapshot=Snapshot(rows, NOW - ago - 1200))
    if number % 10 == 0:
        made = altered(made, recent=(change(ChangeKind.REROUTED, rows[0], before="5", after="6"),))
    return made


@contextmanager
def served(state: State) -> Iterator[str]:
    """A site of this state, where a poll may be asked for: its URL."""
    site = Site(
        page=lambda: None,
        state=lambda: state,
        changes=lambda _since, name, _limit: [(str(name), change(ChangeKind.REROUTED, before="5", after="6"))],
        is_alive=lambda: True,
        version="1.2.3",
        lists=LISTS,
        now=lambda: NOW,
        answers=lambda _: answers(),
        reload=lambda: "",
    )
    server = Server(Application(site), bound([("127.0.0.1", 0)]))
    server.start()
    try:
        yield f"http://{server.addresses[0]}/"
    finally:
        server.quit()
        server.join()


if __name__ == "__main__":
    with served(crowd()) as url:
        print(url, flush=True)  # noqa: T201 - whoever started it reads where it is
        signal.pause()
