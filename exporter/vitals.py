"""What the exporter tells of its own process at each scrape: the words are written once, only the numbers anew.

Names, help and meaning are those of prometheus_client's collectors. These take 60 us to read what takes 15 here, and as
long again to be written, which would be half of what a small scrape costs; a test holds both equal.
"""

import gc
import os
import resource
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.encoding import Format, head, number, series

TICK: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
STAT: Final = Path("/proc/self/stat")
GARBAGE: Final = {
    "collected": "python_gc_objects_collected_total",
    "uncollectable": "python_gc_objects_uncollectable_total",
    "collections": "python_gc_collections_total",
}
NO_NUMBERS: Final[Mapping[str, float]] = {}


class Source(Protocol):
    """Some metrics, and those numbers of them that change, by series as it is written."""

    def collect(self) -> Iterable[Metric]:
        """All of them, slowly."""

    def numbers(self) -> Mapping[str, float]:
        """What changes, quickly; always the same series."""


class Fixed:
    """Metrics that never change."""

    def __init__(self, collector: Collector) -> None:
        self.collect = collector.collect

    def numbers(self) -> Mapping[str, float]:
        """None."""
        return NO_NUMBERS


class Process:
    """CPU, memory and open files; nothing where there is no /proc."""

    collect = staticmethod(PROCESS_COLLECTOR.collect)

    def __init__(self) -> None:
        self._stat = -1
        self._files = 0
        with suppress(OSError):
            self._stat = os.open(STAT, os.O_RDONLY | os.O_CLOEXEC)

    def numbers(self) -> Mapping[str, float]:
        """As proc(5) has them: the fields are counted from behind the command, which may hold anything."""
        if self._stat < 0:
            return NO_NUMBERS
        with suppress(OSError):  # as where all of them are used up: then the last number stays
            self._files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it makes no objects of them
        fields = os.pread(self._stat, 4096, 0).rpartition(b")")[2].split()
        return {
            "process_cpu_seconds_total": (int(fields[11]) + int(fields[12])) / TICK,
            "process_virtual_memory_bytes": float(fields[20]),
            "process_resident_memory_bytes": float(int(fields[21]) * PAGE),
            "process_open_fds": float(self._files),
            "process_max_fds": float(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        }


class Garbage:
    """What Python's garbage collector did."""

    collect = staticmethod(GC_COLLECTOR.collect)

    def numbers(self) -> Mapping[str, float]:
        """Three figures of each generation."""
        told = {
            "collected": "objects_collected",
            "uncollectable": "objects_uncollectable",
            "collections": "collections",
        }
        return {
            f'python_gc_{name}_total{{generation="{generation}"}}': float(figures[key])
            for generation, figures in enumerate(gc.get_stats())
            for key, name in told.items()
        }


class Vitals:
    """All sources as text."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources = tuple(sources)
        self._templates: dict[Format, str] = {}

    def collect(self) -> Iterable[Metric]:
        """The metrics of all sources."""
        return (metric for source in self._sources for metric in source.collect())

    def text(self, form: Format) -> bytes:
        """What a scrape in this format is told now."""
        numbers = {name: number(value) for source in self._sources for name, value in source.numbers().items()}
        if form not in self._templates:
            self._templates[form] = "".join(self._lines(form, numbers))
        return (self._templates[form] % numbers).encode()

    def _lines(self, form: Format, changing: Mapping[str, str]) -> Iterable[str]:
        for metric in self.collect():
            yield escaped(head(metric.name, metric.type, metric.documentation, form))
            for name, labels, value, *_ in metric.samples:
                its_series = series(name, labels)
                written = f"%({its_series})s" if its_series in changing else number(value)
                yield f"{escaped(its_series)} {written}\n"


def escaped(text: str) -> str:
    """The text as a template that says just this."""
    return text.replace("%", "%%")
