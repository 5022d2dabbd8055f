"""A site whose state stands still: two operations, a connector that moved, a held answer; for whoever asks anything."""

from exporter.lists import LISTS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import RoutingPoint
from exporter.model import Change, ChangeKind, Operation, Outcome
from exporter.page import Renderer
from exporter.site import Site
from exporter.state import Ending, Held, Memory, OperationState, Recorded, Snapshot, Standing, State
from exporter.wiring import vitals

AT = 1_790_000_000.0
ROWS = (Connector("whatsapp", "12", "5", "Sales"), Connector("email", "13", "", "Inbox"))
MOVED = Change(AT, "connectors", ("whatsapp", "12"), "Sales", ChangeKind.REROUTED, "5", "6", "Main menu", "Night desk")
RECORDED = Recorded("connectors", AT, 0.5, Outcome.OK, 200, "200", 2, "{}")
POINTS = (RoutingPoint("5", "Main menu", "yes", "yes", "no", "no"),)


def state() -> State:
    """One operation that was polled, and one that never was."""
    connectors = Standing(
        ending=Ending(Outcome.OK, AT - 1, AT, 0.5, records=1),
        snapshot=Snapshot(ROWS, AT),
        held=Held(AT, ROWS[:1]),
        memory=Memory(first_seen={ROWS[0].key: AT - 60}),
        recent=(MOVED,),
    )
    points = Standing(ending=Ending(Outcome.OK, AT - 1, AT, 0.5), snapshot=Snapshot(POINTS, AT))
    intervals = {name: spec.interval for name, spec in LISTS.items()}
    standings = {"connectors": connectors, "routing_points": points}
    return State(
        (
            OperationState(Operation("acme", "0010", {"country": "co"}), intervals, standings, at=AT),
            OperationState(Operation("beta", "0011"), intervals, {}),
        )
    )


def site() -> Site:
    """The site of that state."""
    known = state()
    page = Renderer(LISTS, vitals(about_process=True)).page(known)
    return Site(
        page=lambda: page,
        state=lambda: known,
        changes=lambda _since, _operation, _limit: [("acme", MOVED)],
        now=lambda: AT,
        answers=lambda _operation: [RECORDED],
        is_alive=lambda: True,
        version="1.2.3",
        lists=LISTS,
    )
