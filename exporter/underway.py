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


class UnderWay:
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
        self._arrived: list[Arrival] = []

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, operation: str) -> bool:
        return operation in self._flights

    def asks(self, operation: str, name: str) -> bool:
        """True while this list of the operation is asked for."""
        flight = self._flights.get(operation)
        return flight is not None and flight.spec.name == name

    def by_server(self) -> Counter[str]:
        """How many calls are under way to each server."""
        return Counter(flight.server for flight in self._flights.values())

    def begin(self, flight: Flight, call: Callable[[], Answer]) -> None:
        """Starts a call that was claimed."""
        self._flights[flight.claim.ask.operation] = flight
        try:
            self._start(lambda: self._land(flight, answered(flight, call)))
        except (RuntimeError, MemoryError) as error:  # no thread is to be had; or it is, and may be at work
            self._land(flight, Answer(Outcome.INTERRUPTED, whole=False, detail=str(error)))

    @property
    def is_all_here(self) -> bool:
        """True when no answer is still to come."""
        return len(self._flights) == len(self.arrived())

    def arrived(self) -> list[Arrival]:
        """The answers that came and whose ends are not written, in their order."""
        while not self._landing.empty():
            self._take(self._landing.get())
        return self._arrived.copy()

    def forget(self, arrivals: Sequence[Arrival]) -> None:
        """Forgets the calls that arrived first: nothing more is to be written of them."""
        del self._arrived[: len(arrivals)]
        for arrival in arrivals:
            del self._flights[arrival.flight.claim.ask.operation]

    def wait(self, patience: float) -> bool:
        """Waits for one more answer, `patience` seconds at most; True when one came."""
        try:
            self._take(self._landing.get(timeout=patience))
        except Empty:
            return False
        return True

    def _take(self, arrival: Arrival) -> None:
        """Keeps an answer, unless its call landed already: as one that could not be begun, and yet was."""
        is_awaited = self._flights.get(arrival.flight.claim.ask.operation) is arrival.flight
        if is_awaited and all(each.flight is not arrival.flight for each in self._arrived):
            self._arrived.append(arrival)

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
