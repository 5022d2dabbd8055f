"""What a run found, part by part; a part that was not measured is None, or has no entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from benchmarks.loads import Load
from benchmarks.measure import Measured
from benchmarks.wire import Form


class Cell(NamedTuple):
    """One server under one load, asked in one form."""

    load: str
    server: str
    form: Form


@dataclass
class Serving:
    """How servers answered under one load: scrapes, resident MB, and the seconds that Prometheus saw."""

    scrapes: dict[Cell, Measured] = field(default_factory=dict)
    memory: dict[tuple[str, str], float] = field(default_factory=dict)
    seen: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    series: dict[str, int] = field(default_factory=dict)

    def ratio(self, load: str, one: str, other: str, form: Form = Form.GZIP) -> float | None:
        """How many times longer the one takes for a scrape, by medians; None where one was not measured."""
        mine, theirs = self.scrapes.get(Cell(load, one, form)), self.scrapes.get(Cell(load, other, form))
        return mine.p50 / theirs.p50 if mine and theirs else None

    def cpu_ratio(self, load: str, one: str, other: str, form: Form = Form.GZIP) -> float | None:
        """The same of the CPU."""
        mine, theirs = self.scrapes.get(Cell(load, one, form)), self.scrapes.get(Cell(load, other, form))
        return mine.cpu_per_scrape / theirs.cpu_per_scrape if mine and theirs and theirs.cpu else None

    def seen_ratio(self, load: str, one: str, other: str) -> float | None:
        """The same of what Prometheus saw."""
        mine, theirs = self.seen.get((load, one)), self.seen.get((load, other))
        return median(mine) / median(theirs) if mine and theirs else None


class Polling(NamedTuple):
    """Polls at the pace of real intervals, divided by `speed`, and scrapes beside them.

    `cpu` seconds were spent in `seconds` on `polls` and on two scrapers; `beside` are seconds of scrapes while polls
    went on, `resident` and `peak` MB.
    """

    load: Load
    speed: float
    seconds: float
    polls: int
    cpu: float
    scrape_cpu: float
    scrapes: int
    beside: tuple[float, ...]
    resident: float
    peak: float

    @property
    def share(self) -> float:
        """Of one core, at real intervals."""
        return self.cpu / (self.seconds * self.speed)

    @property
    def cpu_per_poll(self) -> float:
        """CPU seconds of a poll, with all that is done beside polls and scrapes."""
        return (self.cpu - self.scrapes * self.scrape_cpu) / max(1, self.polls)


class Landing(NamedTuple):
    """Large answers that land: the slowest scrape around each, in seconds, and the median of the others; MB."""

    load: Load
    slowest: tuple[float, ...]
    usual: float
    resident: float
    peak: float


class Crowd(NamedTuple):
    """Slow connections and stalled readers, and scrapes beside them.

    `refused` scrapes were not answered. `mb` is resident memory more than before, for each of them. `evicted` of
    `all` slow ones were put out within `slow_seconds`; for `stalled` readers likewise, None where nobody waited.
    """

    slow: int
    stalled: int
    page: int
    scrapes: tuple[float, ...]
    refused: int
    slow_mb: float
    stalled_mb: float
    slow_seconds: float | None
    stalled_seconds: float | None
    waited: float


@dataclass
class Results:
    """Everything that one run found."""

    machine: Mapping[str, str]
    serving: Serving = field(default_factory=Serving)
    polling: Polling | None = None
    landing: Landing | None = None
    idle: float | None = None
    crowd: Crowd | None = None
    skipped: dict[str, str] = field(default_factory=dict)
