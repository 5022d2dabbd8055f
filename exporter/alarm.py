"""Something that happens after some seconds, unless it is stopped or put off. Knows an event loop and nothing else."""

import asyncio
from collections.abc import Callable


class Alarm:
    """One deadline of many on an event loop; `ring` is called when it has passed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """True until it rings or is stopped."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """Rings after so many seconds from now, whatever was set before."""
        self.stop()
        self._timer = self._loop.call_later(seconds, self._rung)

    def stop(self) -> None:
        """Does not ring any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rung(self) -> None:
        self._timer = None
        self._ring()
