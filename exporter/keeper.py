"""The storage's health: what cannot be written is said once, and tried again a little later."""

from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from exporter.store import StoreError

log = structlog.get_logger()

Answer = TypeVar("Answer")
PAUSE: Final = 5.0  # seconds between two tries of a storage that failed


class Keeper:
    """Runs what touches the storage. While that fails nothing is claimed, and the page goes on from memory."""

    def __init__(self) -> None:
        self.is_healthy = True
        self._said: set[str] = set()  # one fault may have two sentences in turn, as a full disk has
        self._again_at = 0.0

    def may_try(self, uptime: float) -> bool:
        """False within the pause after a failure; `uptime` is now, in seconds since boot."""
        return uptime >= self._again_at

    def attempt(self, work: Callable[[], Answer], uptime: float) -> Answer | None:
        """What `work` gives, None when the storage failed."""
        try:
            done = work()
        except StoreError as error:
            self._fail(str(error), uptime)
            return None
        self._heal()
        return done

    def _fail(self, complaint: str, uptime: float) -> None:
        self._again_at = uptime + PAUSE
        self.is_healthy = False
        if complaint not in self._said:
            self._said.add(complaint)
            log.error("storage failed, no call is made", error=complaint)

    def _heal(self) -> None:
        if not self.is_healthy:
            log.info("storage writes again")
        self.is_healthy, self._again_at = True, 0.0
        self._said.clear()
