"""The list `routing_points`: where messages enter, and which flows answer there.

wolkvox_routing_point_info{operation="acme-co",rp_id="5",rp_name="Main menu"} 1
wolkvox_routing_point_flow_active{operation="acme-co",rp_id="5",flow="chat"} 1
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from exporter.model import MINUTE, Family, Key, Row, Values
from exporter.records import text
from exporter.spec import Derived, Samples, UpstreamList, restorer
from exporter.state import OperationState

NAME: Final = "routing_points"
FLOWS: Final = ("ivr", "chat", "interaction", "crm")
WORDS: Final = {"yes": 1, "no": 0}


class RoutingPoint(NamedTuple):
    """One routing point; each flow is the API's own word, "yes" or "no" where the page on it is right."""

    rp_id: str
    rp_name: str
    ivr: str
    chat: str
    interaction: str
    crm: str

    @property
    def key(self) -> Key:
        """The routing point's id."""
        return (self.rp_id,)

    @property
    def title(self) -> str:
        """The name given to it in Studio."""
        return self.rp_name


def parse(record: Mapping[object, object]) -> RoutingPoint | None:
    """The record's routing point; None where it has no id."""
    rp_id = text(record, "rp_id")
    if not rp_id:
        return None
    flows = (text(record, f"{flow}_active").lower() for flow in FLOWS)
    return RoutingPoint(rp_id, text(record, "rp_name"), *flows)


POLLED: Final = "As the wolkvox API listed it at the last believed poll, made in the background."

INFO: Final = Family(
    "wolkvox_routing_point_info",
    "gauge",
    f"One series per routing point, always 1. {POLLED}",
    ("operation", "rp_id", "rp_name"),
)
FLOW_ACTIVE: Final = Family(
    "wolkvox_routing_point_flow_active",
    "gauge",
    f"Whether a flow of the routing point is switched on; a flow with an unknown state has no series. {POLLED}",
    ("operation", "rp_id", "flow"),
)


def info(operation: str, rows: Iterable[Row]) -> Values:
    """One sample per routing point and name."""
    return {(operation, *row.key, row.title): 1 for row in rows}


def flows(operation: str, rows: Iterable[Row]) -> Values:
    """One sample per known flow; of rows with one id the first that knows the flow speaks."""
    told: dict[tuple[str, ...], float] = {}
    for row in rows:
        rp_id, _, *states = row
        for flow, state in zip(FLOWS, states, strict=True):
            if state in WORDS:
                told.setdefault((operation, rp_id, flow), WORDS[state])
    return told


def samples(state: OperationState) -> Samples:
    """The families of one operation's routing points; none before the first snapshot."""
    name, snapshot = state.operation.name, state.standing(NAME).snapshot
    if snapshot is None:
        return
    yield INFO, Derived(info, (name, snapshot.rows))
    yield FLOW_ACTIVE, Derived(flows, (name, snapshot.rows))


LIST: Final = UpstreamList(
    name=NAME,
    interval=10 * MINUTE,
    parse=parse,
    restore=restorer(RoutingPoint),
    key=("rp_id",),
    families=(INFO, FLOW_ACTIVE),
    samples=samples,
)
