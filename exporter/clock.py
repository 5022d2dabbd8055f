"""The only reader of time."""

import time
from typing import Protocol

from exporter import host
from exporter.model import Moment


class Clock(Protocol):
    """Where moments come from; tests pass one that they set."""

    def now(self) -> Moment:
        """The present moment."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""


class HostClock:
    """The clock of this machine; the boot's id is read once, since no process outlives its boot."""

    def __init__(self) -> None:
        self._boot = host.boot_id()

    def now(self) -> Moment:
        """The present moment, as wall time and as time since boot."""
        return Moment(time.time(), self._boot, host.uptime())

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
