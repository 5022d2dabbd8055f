"""The list `connectors`: one row per line of a digital channel, and the routing point that it feeds.

wolkvox_connectors{operation="acme-co",channel="whatsapp",rp_id="5"} 2
wolkvox_connector_info{operation="acme-co",channel="whatsapp",connector_id="12",rp_id="5",name="Sales"} 1
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Final, NamedTuple

from exporter.model import MINUTE, Change, ChangeKind, Family, Key, Row, Sample, Values
from exporter.recent import told
from exporter.records import text
from exporter.spec import Derived, Samples, UpstreamList, Watch, restorer
from exporter.state import OperationState

NAME: Final = "connectors"
NOT_ROUTED: Final = frozenset({"", "0"})  # "0" stands for "none" in another API of the vendor's samples
KINDS: Final = tuple(ChangeKind)
GROUP: Final = itemgetter(0, 2)  # what connectors are counted by: channel and routing point


class Connector(NamedTuple):
    """One line of a channel. `rp_id` is "" where it is not routed."""

    channel: str
    connector_id: str
    rp_id: str
    name: str

    @property
    def key(self) -> Key:
        """Channel and id: nothing says that an id is unique across channels."""
        return (self.channel, self.connector_id)

    @property
    def title(self) -> str:
        """The name given to it in Manager."""
        return self.name


def parse(record: Mapping[object, object]) -> Connector | None:
    """The record's connector; None where it has no channel or no id."""
    channel, connector_id = text(record, "channel"), text(record, "connector_id")
    if not channel or not connector_id:
        return None
    rp_id = text(record, "rp_id")
    return Connector(channel, connector_id, "" if rp_id in NOT_ROUTED else rp_id, text(record, "name"))


POLLED: Final = "As the wolkvox API listed it at the last believed poll, made in the background."

CONNECTORS: Final = Family(
    "wolkvox_connectors",
    "gauge",
    f"Connectors per channel and routing point; 0 where there were some before. {POLLED}",
    ("operation", "channel", "rp_id"),
)
EXPECTED: Final = Family(
    "wolkvox_connectors_expected",
    "gauge",
    "Connectors that the channel should have, from `expect` in the configuration.",
    ("operation", "channel"),
)
INFO: Final = Family(
    "wolkvox_connector_info",
    "gauge",
    f'One series per connector, always 1; rp_id "" means not routed. {POLLED}',
    ("operation", "channel", "connector_id", "rp_id", "name"),
)
FIRST_SEEN: Final = Family(
    "wolkvox_connector_first_seen_timestamp_seconds",
    "gauge",
    "When this exporter first believed the connector to exist, from its storage.",
    ("operation", "channel", "connector_id"),
)


MISSING: Final = Family(
    "wolkvox_connector_missing_timestamp_seconds",
    "gauge",
    "Since when an answer of the wolkvox API, polled in the background and not believed yet, lacks the connector.",
    ("operation", "channel", "connector_id", "rp_id", "name"),
)
CHANGES: Final = Family(
    "wolkvox_connector_changes_total",
    "counter",
    "Differences between two believed answers of the wolkvox API, by kind. Kept over restarts.",
    ("operation", "channel", "change"),
)
CHANGED: Final = Family(
    "wolkvox_connector_change_timestamp_seconds",
    "gauge",
    "When a change was believed: of each connector the newest of a kind, for a day or until it is undone.",
    (
        "operation",
        "channel",
        "connector_id",
        "name",
        "change",
        "before",
        "after",
        "before_name",
        "after_name",
    ),
)


def counts(operation: str, rows: Iterable[Row], emptied: Iterable[Key]) -> Values:
    """One sample per group; 0 for a group that had connectors within the retention."""
    by_group = dict.fromkeys(emptied, 0) | Counter(map(GROUP, rows))
    return {(operation, channel, rp_id): count for (channel, rp_id), count in by_group.items()}


def info(operation: str, rows: Iterable[Row], names: bool, value: float = 1) -> Values:  # noqa: FBT001 - Derived knows no names
    """One sample per connector; a row that stands twice is one series."""
    return {(operation, channel, number, rp_id, name if names else ""): value for channel, number, rp_id, name in rows}


def first_seen(operation: str, rows: Iterable[Row], since: Mapping[Key, float]) -> Values:
    """One sample per connector that is remembered."""
    return {
        (operation, channel, number): at
        for channel, number, _, _ in rows
        if (at := since.get((channel, number))) is not None
    }


def changes(operation: str, rows: Iterable[Row], counted: Mapping[tuple[str, str], int]) -> Values:
    """How often each kind of change was seen, from 0 for every channel that the operation has or had."""
    channels = dict.fromkeys([channel for channel, _, _, _ in rows] + [channel for channel, _ in counted])
    return {(operation, channel, kind): counted.get((channel, kind), 0) for channel in channels for kind in KINDS}


def changed(operation: str, change: Change) -> Sample:
    """One change with before and after."""
    sides = (change.before, change.after, change.before_name, change.after_name)
    return Sample((operation, *change.key, change.name, change.kind, *sides), change.at)


def samples(state: OperationState) -> Samples:
    """The families of one operation's connectors; none of the list's own before the first snapshot."""
    name, standing = state.operation.name, state.standing(NAME)
    yield EXPECTED, (Sample((name, channel), n) for channel, n in state.operation.expect.items())
    if standing.snapshot is None:
        return
    rows, memory = standing.snapshot.rows, standing.memory
    yield CONNECTORS, Derived(counts, (name, rows, memory.emptied))
    yield INFO, Derived(info, (name, rows, state.names))
    yield FIRST_SEEN, Derived(first_seen, (name, rows, memory.first_seen))
    yield CHANGES, Derived(changes, (name, rows, standing.tally.changes))
    yield CHANGED, (changed(name, each.shown(names=state.names)) for each in told(standing.recent, state.at))
    if standing.held is not None:
        yield MISSING, Derived(info, (name, standing.held.missing, state.names, standing.held.at))


LIST: Final = UpstreamList(
    name=NAME,
    interval=5 * MINUTE,
    parse=parse,
    restore=restorer(Connector),
    key=("channel", "connector_id"),
    private=("name",),
    families=(CONNECTORS, EXPECTED, INFO, FIRST_SEEN, MISSING, CHANGES, CHANGED),
    samples=samples,
    watches=(
        Watch("rp_id", ChangeKind.REROUTED, refers_to="routing_points"),
        Watch("name", ChangeKind.RENAMED),
    ),
    group=GROUP,
    essential=True,
)
