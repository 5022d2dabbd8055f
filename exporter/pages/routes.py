"""Which connectors lead nowhere: the verdict of alerts/connectors.yml, on two lists of one operation. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from operator import itemgetter
from typing import Final, NamedTuple, cast

from exporter.lists.connectors import NAME as CONNECTORS
from exporter.lists.connectors import Connector
from exporter.lists.routing_points import NAME as ROUTING_POINTS
from exporter.lists.routing_points import WORDS, RoutingPoint
from exporter.model import ChangeKind, Key
from exporter.recent import told
from exporter.state import OperationState

INTERVALS: Final = 3  # what is older than so many intervals is stale, and nothing is judged by it
CHAT: Final = ("chat",)
POST: Final = ("interaction",)
EITHER: Final = ("chat", "interaction")  # messenger and page share a channel: one of the flows is enough
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "whatsapp": CHAT,
    "chat-web": CHAT,
    "telegram": CHAT,
    "sms_bidirect": CHAT,
    "email": POST,
    "twitter": POST,
    "facebook": EITHER,
    "instagram": EITHER,
}
PAIR: Final = itemgetter(0, 2)  # channel and routing point of a row; there may be very many rows
ROUTED: Final = frozenset({ChangeKind.ADDED, ChangeKind.REROUTED})


class Reason(StrEnum):
    """Why what customers write to a connector has nowhere to go."""

    NOT_ROUTED = "not_routed"
    UNKNOWN = "unknown_routing_point"
    FLOW_OFF = "flow_off"


class Fault(NamedTuple):
    """Why a connector is misrouted; `flow` names those that are off."""

    reason: Reason
    flow: str = ""


@dataclass(frozen=True, slots=True)
class Routes:
    """The routing points by id, in the order of the answer, and how many connectors of which channel lead where.

    `fresh` is when the routing points were believed, None if that is too long ago.
    """

    points: Mapping[str, Sequence[RoutingPoint]]
    fresh: float | None
    pairs: Mapping[tuple[str, str], int]

    @property
    def believed(self) -> float | None:
        """Since when they say something of connectors, which an empty list does not; None where they say nothing."""
        return self.fresh if self.points else None

    def title(self, rp_id: str) -> str:
        """What the routing point is called, "" where it is not known."""
        return next((point.rp_name for point in self.points.get(rp_id, ())), "")

    def fault(self, channel: str, rp_id: str) -> Fault | None:
        """What is wrong with such a route; None for nothing, and where nothing can be said."""
        if not rp_id:
            return Fault(Reason.NOT_ROUTED)
        if self.believed is None:
            return None
        if rp_id not in self.points:
            return Fault(Reason.UNKNOWN)
        needed = NEEDED.get(channel, ())
        is_off = bool(needed) and all(is_active(self.points[rp_id], flow) == 0 for flow in needed)
        return Fault(Reason.FLOW_OFF, " and ".join(needed)) if is_off else None


def is_active(points: Sequence[RoutingPoint], flow: str) -> int | None:
    """1 or 0; None where no row knows. Of rows with one id the first that knows speaks, as in the metrics."""
    return next((WORDS[word] for point in points if (word := getattr(point, flow)) in WORDS), None)


def routes(state: OperationState, now: float) -> Routes:
    """The routes of the operation, as its routing points tell them at `now`."""
    points: dict[str, list[RoutingPoint]] = {}
    for point in routing_points(state):
        points.setdefault(point.rp_id, []).append(point)
    snapshot, interval = state.standing(ROUTING_POINTS).snapshot, state.intervals.get(ROUTING_POINTS)
    is_fresh = snapshot is not None and interval is not None and now - snapshot.at <= INTERVALS * interval
    return Routes(points, snapshot.at if snapshot and is_fresh else None, Counter(map(PAIR, connectors(state))))


def connectors(state: OperationState) -> tuple[Connector, ...]:
    """The believed connectors; none before the first snapshot."""
    snapshot = state.standing(CONNECTORS).snapshot
    return cast("tuple[Connector, ...]", snapshot.rows if snapshot else ())


def routing_points(state: OperationState) -> tuple[RoutingPoint, ...]:
    """The believed routing points; none before the first snapshot."""
    snapshot = state.standing(ROUTING_POINTS).snapshot
    return cast("tuple[RoutingPoint, ...]", snapshot.rows if snapshot else ())


def misrouted(state: OperationState, known: Routes, now: float) -> Mapping[Connector, Fault]:
    """The connectors that lead nowhere, each with the reason.

    A connector that got its route after the routing points were asked is judged by the next answer alone.
    """
    faults = {pair: fault for pair in known.pairs if (fault := known.fault(*pair))}
    if not faults:
        return {}
    routed = routed_at(state, now)
    return {
        row: fault
        for row in connectors(state)
        if (fault := faults.get((row.channel, row.rp_id)))
        and (fault.reason is Reason.NOT_ROUTED or routed.get(row.key, -inf) < (known.believed or -inf))
    }


def routed_at(state: OperationState, now: float) -> Mapping[Key, float]:
    """When each connector is known to have got its route."""
    standing = state.standing(CONNECTORS)
    times = dict(standing.memory.first_seen)
    for change in told(standing.recent, now):
        if change.kind in ROUTED:
            times[change.key] = max(change.at, times.get(change.key, -inf))
    return times
