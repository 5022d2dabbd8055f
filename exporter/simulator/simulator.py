"""The simulator as its users hold it: accounts to edit, an address to call, calls to look at afterwards."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from exporter.simulator.account import Account
from exporter.simulator.control import PREFIX, control
from exporter.simulator.judge import DEMANDED_SECONDS, Call, Judge, Report
from exporter.simulator.request import Request
from exporter.simulator.server import Answered, Server
from exporter.simulator.upstream import Upstream
from exporter.simulator.wire import whole
from exporter.simulator.world import World


class Simulator:
    """A strict copy of the upstream on 127.0.0.1, between `start` and `close`; both may be repeated.

    `interval` is what the judge demands, in seconds from the end of a call to the start of the next one of the same
    token and list, for all lists or by name. Port 0 takes a free port at the first start and keeps it. `now` stamps the
    calls, `wall` is read for HTTP dates alone; pauses are real.
    """

    def __init__(
        self,
        interval: float | Mapping[str, float] = DEMANDED_SECONDS,
        port: int = 0,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._world = World()
        self._judge = Judge(interval)
        self._upstream = Upstream(self._world, self._judge, now, wall)
        self._port = port
        self._server: Server | None = None

    @property
    def url(self) -> str:
        """Where it listens, or listened; RuntimeError while the port is yet to be found."""
        if not self._port:
            raise RuntimeError("the simulator has no port yet; start it first")
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; once it returns, connections are taken."""
        if self._server is None:
            self._server = Server(self._port, self._answer)
            self._port = int(self._server.server_address[1])

    def close(self) -> None:
        """Hang up on everybody and free the port; accounts and calls stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def add(self, name: str, *, token: str, server: str, limit: int = 1000) -> Account:
        """Open an account with its first token and its calls a day."""
        return self._world.add(name, token, server, limit)

    @property
    def accounts(self) -> dict[str, Account]:
        """All accounts by name, oldest first."""
        with self._world.lock:
            return dict(self._world.accounts)

    @property
    def calls(self) -> list[Call]:
        """All calls so far, in the order in which they came."""
        with self._world.lock:
            return list(self._judge.calls)

    def report(self) -> Report:
        """The sums of all calls so far, and the verdict when printed."""
        with self._world.lock:
            return self._judge.report()

    def new_day(self) -> None:
        """Restart the daily counters of all accounts."""
        self._world.new_day()

    def _answer(self, request: Request) -> Answered:
        if request.path.startswith(PREFIX):
            return whole(control(self, request)), lambda: None
        place, wire = self._upstream.receive(request, self._port)
        return wire, lambda: self._upstream.finish(place, wire.status)
