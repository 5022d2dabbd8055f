"""When each of many is due: the next ones are found without looking through all. Pure."""

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from math import inf


class Agenda:
    """The time of each name; inf is never. A thousand operations are asked about several times a second."""

    def __init__(self, times: Mapping[str, float]) -> None:
        self._times = dict(times)
        self._ahead = [(at, name) for name, at in times.items() if at < inf]  # a heap, with what was put off in it
        heapify(self._ahead)
        self._come: dict[str, None] = {}

    def put(self, name: str, at: float) -> None:
        """Sets the time of a name that is on the agenda; others stay off it."""
        if at != self._times.get(name, at):
            self._times[name] = at
            self._come.pop(name, None)
            if at < inf:
                heappush(self._ahead, (at, name))

    def due(self, now: float) -> Iterable[str]:
        """The names whose time has come by now or an earlier question; they stay so until another time is set."""
        while self._ahead and self._ahead[0][0] <= now:
            at, name = heappop(self._ahead)
            if at == self._times[name]:
                self._come[name] = None
        return tuple(self._come)

    def next(self) -> float:
        """The first time that has not come; inf where there is none."""
        while self._ahead and self._times[self._ahead[0][1]] != self._ahead[0][0]:
            heappop(self._ahead)
        return self._ahead[0][0] if self._ahead else inf
