"""Calls under way: each runs beside the turns, and what came of it is kept until its end is written.

Knows no storage and no board.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

import structlog

from exporter.flights import Arrival, Flight
from exporter.model import Answer, Moment, Outcome

log = structlog.get_logger()


class Calls:
    """The calls that were claimed and whose ends are not written yet, at most one of an operation.

    `start` runs a call, in a thread of its own or at once; `wake` is called from there when an answer has come. All
    else is for one thread at a time.
    """

    def __init__(
        self, start: Callable[[Callable[[], None]], None], now: Callable[[], Moment], wake: Callable[[], None]
    ) -> None:
        self._start = start
        self._now = now
        self._wake = wake
        self._flights: dict[str, Flight] = {}
        self._landing: SimpleQueue[Arrival] = SimpleQueue()
        self._landed: list[Arrival] = []

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, operation: str) -> bool:
        return operation in self._flights

    def name(self, operation: str) -> str | None:
        """The list that is asked for this operation now; None where no call is under way."""
        flight = self._flights.get(operation)
        return None if flight is None else flight.spec.name

    def by_server(self) -> Counter[str]:
        """How many calls are under way to each server."""
        return Counter(flight.server for flight in self._flights.values())

    def begin(self, flight: Flight, call: Callable[[], Answer]) -> None:
        """Starts a call that was claimed."""
        self._flights[flight.claim.ask.operation] = flight
        try:
            self._start(lambda: self._land(flight, answered(flight, call)))
        except RuntimeError as error:  # no thread is to be had: the call counts as spent, though none was made
            self._land(flight, Answer(Outcome.INTERRUPTED, detail=str(error)))

    @property
    def have_landed(self) -> bool:
        """True when no answer is still to come."""
        return len(self._flights) == len(self._landed) + self._landing.qsize()

    def landed(self) -> list[Arrival]:
        """The answers that came and whose ends are not written, in their order."""
        while not self._landing.empty():
            self._landed.append(self._landing.get())
        return self._landed.copy()

    def forget(self, arrivals: Sequence[Arrival]) -> None:
        """Forgets the calls that landed first: their ends are written."""
        del self._landed[: len(arrivals)]
        for arrival in arrivals:
            del self._flights[arrival.flight.claim.ask.operation]

    def wait(self, patience: float) -> bool:
        """Waits for one more answer, `patience` seconds at most; True when one came."""
        try:
            self._landed.append(self._landing.get(timeout=patience))
        except Empty:
            return False
        return True

    def _land(self, flight: Flight, answer: Answer) -> None:
        self._landing.put(Arrival(flight, answer, self._now()))
        self._wake()


def answered(flight: Flight, call: Callable[[], Answer]) -> Answer:
    """What came of the call, whatever it raises."""
    try:
        return call()
    except Exception:
        # The boundary between operations: a bug met in one answer must not stop the others.
        log.exception("call failed unexpectedly", operation=flight.claim.ask.operation, list=flight.spec.name)
        return Answer(Outcome.INTERRUPTED, whole=False, detail="an unexpected error, see the log")
