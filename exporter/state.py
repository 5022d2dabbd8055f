"""What is known at one time: immutable, swapped as a whole, read by every page. Decides nothing."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from exporter.model import Change, Key, Operation, Outcome, Row


def nothing() -> Mapping[Any, Any]:
    """An empty mapping that nobody can fill."""
    return MappingProxyType({})


class Ending(NamedTuple):
    """How the last poll ended; times are Unix seconds, counts are of its answer."""

    outcome: Outcome
    claimed: float
    finished: float
    duration: float
    records: int = 0
    rejected: int = 0
    duplicates: int = 0


class Recorded(NamedTuple):
    """One answer of the API as the flight recorder keeps it.

    `at` is when it had come, Unix seconds; `size` the bytes of the whole body, of which `body` is the text: redacted,
    and cut where it is long. `rejected` says of each rejected record why, the first ones; `detail` what the log said.
    """

    list: str
    at: float
    duration: float
    outcome: Outcome
    status: int | None
    code: str | None
    size: int
    body: str
    rejected: tuple[str, ...] = ()
    detail: str = ""


class Snapshot(NamedTuple):
    """One complete, believed answer. `at` is when an answer last agreed with it."""

    rows: tuple[Row, ...]
    at: float


class Held(NamedTuple):
    """An answer that is not believed yet: since when, and which known entities it lacks."""

    at: float
    missing: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of entities that came and went, until the journal's retention ends.

    `first_seen` is by key, of present and gone ones; `gone` says when a key was believed to be gone and `titles` what
    it was called; `emptied` says when a group lost its last entity; `fell_at` when a counter of the vendor's was last
    seen to fall. Times are Unix seconds.
    """

    first_seen: Mapping[Key, float] = field(default_factory=nothing)
    gone: Mapping[Key, float] = field(default_factory=nothing)
    titles: Mapping[Key, str] = field(default_factory=nothing)
    emptied: Mapping[Key, float] = field(default_factory=nothing)
    fell_at: float | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counters of one list of one operation, kept over restarts; they only grow."""

    polls: int = 0
    failures: int = 0
    outcomes: Mapping[str, int] = field(default_factory=nothing)
    responses: Mapping[tuple[str, str], int] = field(default_factory=nothing)
    changes: Mapping[tuple[str, str], int] = field(default_factory=nothing)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one list of one operation stands: all that is told of it."""

    ending: Ending | None = None
    snapshot: Snapshot | None = None
    held: Held | None = None
    memory: Memory = field(default_factory=Memory)
    tally: Tally = field(default_factory=Tally)
    recent: tuple[Change, ...] = ()


class Histogram(NamedTuple):
    """Observed seconds: how many were in each bucket of `BOUNDS` and above, and their sum."""

    counts: tuple[int, ...]
    total: float

    def observed(self, seconds: float) -> "Histogram":
        """The histogram with one more observation."""
        place = bisect_left(BOUNDS, seconds)
        counts = (count + (index == place) for index, count in enumerate(self.counts))
        return Histogram(tuple(counts), self.total + seconds)


BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0)  # the API ends a call after 60 s
EMPTY: Final = Histogram((0,) * (len(BOUNDS) + 1), 0.0)


class Rule(StrEnum):
    """Why the next poll is not now."""

    INTERVAL = "interval"
    REST = "rest"
    BUSY = "busy token"
    RESERVE = "reserve"
    STORAGE = "storage"


class Next(NamedTuple):
    """When a list may be polled next (Unix seconds), and the rule that binds."""

    at: float
    rule: Rule


@dataclass(frozen=True, slots=True)
class OperationState:
    """One operation and how each of its lists stands.

    `intervals` holds the configured seconds of each list that is polled. `spent` counts the calls of this host on the
    token since the token's own figures were last read. `names` says whether connectors' names may be shown, `at` when
    this was true, for what ends by its age.
    """

    operation: Operation
    intervals: Mapping[str, float]
    standings: Mapping[str, Standing]
    next: Mapping[str, Next] = field(default_factory=nothing)
    spent: int = 0
    reserved: bool = False
    names: bool = True
    at: float = 0.0

    def standing(self, name: str) -> Standing:
        """How the list stands; an empty Standing where it was never polled."""
        return self.standings.get(name, NEVER)


NEVER = Standing()


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a page tells.

    `durations` are the calls' by list; `created` is when the storage was made, None where it cannot be read.
    """

    operations: tuple[OperationState, ...] = ()
    durations: Mapping[str, Histogram] = field(default_factory=nothing)
    storage_healthy: bool = True
    created: float | None = None
