"""What the poller is given to work with: targets, lists, and how far it may go. Immutable; swapped by a reload."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from exporter.model import Answer, Operation, Secret
from exporter.poll import Trust
from exporter.spec import UpstreamList

Call = Callable[[str, str, Secret], Answer]  # (server, list, token) -> the answer; blocking, raises nothing expected


class Target(NamedTuple):
    """An operation and the way to read its token now; SecretError when that is not to be had."""

    operation: Operation
    read: Callable[[], Secret]


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the poller may go.

    `concurrency` counts calls at the same time, at most half of them to one server; `busy` is how many seconds a
    server may work on a call; `reserve` is the calls a day that are left to others; `least` is the shortest legal
    interval in seconds.
    """

    concurrency: int = 32
    busy: float = 60.0
    reserve: int = 100
    least: float = 300.0

    @property
    def per_server(self) -> int:
        """Calls at the same time to one server."""
        return max(1, self.concurrency // 2)


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that a configuration says to the poller; `intervals` in seconds, of the lists that are polled.

    `only` names the operations that are polled, None for all; `eager` polls what is legal, before its planned time.
    """

    targets: tuple[Target, ...]
    lists: Mapping[str, UpstreamList]
    intervals: Mapping[str, float]
    call: Call
    trust: Trust
    limits: Limits = Limits()
    names: bool = True
    only: frozenset[str] | None = None
    eager: bool = False
