"""Scrapes, timed: the same client on every server, one server after the other in each round."""

import math
import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.programs import Program
from benchmarks.wire import Client


class Measured(NamedTuple):
    """What scrapes of one page cost: seconds of each, CPU seconds of the server for all of them, bytes of one."""

    seconds: tuple[float, ...]
    cpu: float
    size: int

    @property
    def p50(self) -> float:
        """The median, in seconds."""
        return median(self.seconds)

    @property
    def p99(self) -> float:
        """What 99 of 100 scrapes stay under; the slowest of fewer than 100."""
        return percentile(self.seconds, 0.99)

    @property
    def cpu_per_scrape(self) -> float:
        """CPU seconds of the server."""
        return self.cpu / len(self.seconds)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that this share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def scraped(program: Program, client: Client, seconds: float) -> Measured:
    """Scrapes for that long one after the other, at least one."""
    taken: list[float] = []
    size, cpu = 0, program.cpu
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        began = time.perf_counter()
        size = client.scrape()
        taken.append(time.perf_counter() - began)
    return Measured(tuple(taken), program.cpu - cpu, size)


def together(rounds: Sequence[Measured]) -> Measured:
    """The rounds as one."""
    seconds = tuple([taken for each in rounds for taken in each.seconds])
    return Measured(seconds, sum(each.cpu for each in rounds), rounds[-1].size)
