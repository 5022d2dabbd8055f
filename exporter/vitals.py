"""What the exporter tells of its own process at each scrape: the words are written once, only the numbers anew.

Names, help and meaning are those of prometheus_client's collectors. These take 60 us to read what takes 9 here, and as
long again to be written, which would be half of what a small scrape costs; a test holds both equal.
"""

import gc
import os
import resource
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from exporter.encoding import END, Format, head, number, series
from exporter.pieces import Blanks, Filled

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
PROC: Final = Path("/proc/self")
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

    def __init__(self, proc: Path = PROC) -> None:
        self._memory = self._folder = -1
        self._files = 0
        with suppress(OSError):
            self._folder = os.open(proc / "fd", os.O_RDONLY | os.O_CLOEXEC)
            self._memory = os.open(proc / "statm", os.O_RDONLY | os.O_CLOEXEC)

    def numbers(self) -> Mapping[str, float]:
        """As proc(5) and times(2) have them."""
        if self._memory < 0:
            return NO_NUMBERS
        self._files = entries(self._folder, self._files)
        spent = os.times()
        pages, resident, _ = os.pread(self._memory, 4096, 0).split(None, 2)
        return {
            "process_cpu_seconds_total": round(spent.user + spent.system, 2),  # both in hundredths
            "process_virtual_memory_bytes": float(int(pages) * PAGE),
            "process_resident_memory_bytes": float(int(resident) * PAGE),
            "process_open_fds": float(self._files),
            "process_max_fds": float(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        }


def entries(folder: int, last: int) -> int:
    """How many entries the open folder of /proc has: its size, where the kernel (from 6.2 on) counts them there.

    As many as `last` where they have to be listed and cannot, as when all files that the process may open are open.
    """
    try:
        return os.fstat(folder).st_size or len(os.listdir(folder))
    except OSError:
        return last


class Garbage:
    """What Python's garbage collector did."""

    collect = staticmethod(GC_COLLECTOR.collect)

    def __init__(self) -> None:
        self._names = [
            (generation, key, f'{name}{{generation="{generation}"}}')
            for generation in range(len(gc.get_stats()))
            for key, name in GARBAGE.items()
        ]

    def numbers(self) -> Mapping[str, float]:
        """Three figures of each generation."""
        stats = gc.get_stats()
        return {name: stats[generation][key] for generation, key, name in self._names}


class Text:
    """One format: the words, the series whose numbers fill their blanks, and what was filled in last."""

    def __init__(self, words: Sequence[bytes], names: Sequence[str]) -> None:
        self._words = Blanks(words)
        self._names = names
        self._last: tuple[Mapping[str, float], Filled] | None = None

    def filled(self, numbers: Mapping[str, float]) -> Filled:
        """The words with these numbers, which stay as they are; the same as last time, where the numbers are."""
        last = self._last
        if last is None or last[0] != numbers:
            last = numbers, self._words.filled([number(numbers[name]).encode() for name in self._names])
            self._last = last
        return last[1]


class Vitals:
    """All sources as text."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources = tuple(sources)
        self._texts: dict[Format, Text] = {}

    def collect(self) -> Iterable[Metric]:
        """The metrics of all sources."""
        return (metric for source in self._sources for metric in source.collect())

    def filled(self, form: Format) -> Filled:
        """What a scrape in this format is told now, with the format's end mark."""
        numbers: dict[str, float] = {}
        for source in self._sources:
            numbers |= source.numbers()
        text = self._texts.get(form)
        if text is None:
            text = self._texts[form] = self._text(form, numbers)
        return text.filled(numbers)

    def _text(self, form: Format, changing: Mapping[str, float]) -> Text:
        words, names = [""], list[str]()
        for metric in self.collect():
            words[-1] += head(metric.name, metric.type, metric.documentation, form)
            for name, labels, value, *_ in metric.samples:
                its_series = series(name, labels)
                words[-1] += f"{its_series} "
                if its_series in changing:
                    names.append(its_series)
                    words.append("\n")
                else:
                    words[-1] += f"{number(value)}\n"
        end = END if form is Format.OPENMETRICS else b""
        return Text([*[each.encode() for each in words[:-1]], words[-1].encode() + end], tuple(names))
