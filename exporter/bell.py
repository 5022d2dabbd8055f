"""What a loop waits for: a bell that anybody may ring."""

from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """Rung from any thread and, unlike an event of `threading`, from a signal handler.

    The lock of an event is no longer to be had in a handler that strikes while the same thread holds it.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Ends the wait that is under way, or else the next one."""
        self._rings.put(None)

    def wait(self, seconds: float | None = None) -> None:
        """Until somebody rings, at once where a ring is left that ended no wait; `seconds` at most."""
        with suppress(Empty):
            self._rings.get(timeout=seconds)

    def hush(self) -> None:
        """Forgets what was rung until now."""
        while not self._rings.empty():
            self._rings.get()
