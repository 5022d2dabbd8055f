"""Connections that drip their headers, readers that never read: what they cost, and when they are put out."""

import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from benchmarks import peers
from benchmarks.peers import Server
from benchmarks.plan import Plan, say
from benchmarks.programs import Program
from benchmarks.results import Crowd, Results
from benchmarks.stored import Folder
from benchmarks.wire import BrokenError, Client, Form, page

DRIP: Final = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
STALL: Final = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\n\r\n"
SMALL: Final = 4096  # bytes that a stalled reader's socket takes
PAUSE: Final = 0.25
SPARE: Final = 200  # descriptors for all else


class Slow:
    """Connections of one kind; they are gone when the server has as few descriptors as before."""

    def __init__(self, program: Program, count: int, first: bytes) -> None:
        self._program = program
        self._before = program.descriptors
        self._open = [connected(program.port, first) for _ in range(count)]
        self._began = time.monotonic()
        time.sleep(PAUSE)  # until the server has taken them all

    def drip(self, more: bytes) -> float | None:
        """Sends some bytes on each; the seconds until the last was put out, None while one is open."""
        for each in self._open if more else ():
            with suppress(OSError):
                each.send(more)
        return time.monotonic() - self._began if self._program.descriptors <= self._before else None

    def close(self) -> None:
        """Ends what is left."""
        for each in self._open:
            each.close()


def crowd(plan: Plan, place: Path, results: Results) -> None:
    """Measures the slow ones and the stalled ones, one kind after the other, with scrapes all the while."""
    say(f"{plan.slow} slow connections, {plan.stalled} stalled readers, {plan.patience:.0f} s each")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, plan.slow + plan.stalled + SPARE), hard))
    folder = Folder(place / "crowd", plan.crowded).configure().fill()
    with peers.ours(folder) as server:
        size = len(page(server.program.port, "/metrics", Form.PLAIN))
        slow = beside(server, 15.0, lambda: Slow(server.program, plan.slow, DRIP), b"x")
        stalled = beside(server, plan.patience, lambda: Slow(server.program, plan.stalled, STALL), b"")
        results.crowd = Crowd(
            plan.slow,
            plan.stalled,
            size,
            (*slow.taken, *stalled.taken),
            slow.refused + stalled.refused,
            slow.grown / plan.slow,
            stalled.grown / plan.stalled,
            slow.gone_after,
            stalled.gone_after,
            plan.patience,
        )


class Beside:
    """Scrapes beside one kind of slow connections: their seconds, how many failed, and the MB that memory grew by."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.refused = 0
        self.grown = 0.0
        self.gone_after: float | None = None


def beside(server: Server, patience: float, make: Callable[[], Slow], more: bytes) -> Beside:
    """Scrapes until all of them are gone, at most for that long."""
    client, seen = Client(server.program.port, "/metrics", Form.GZIP), Beside()
    client.scrape()
    before = server.program.rss
    slow = make()
    end = time.monotonic() + patience
    while time.monotonic() < end and seen.gone_after is None:
        began = time.perf_counter()
        try:
            client.scrape()
            seen.taken.append(time.perf_counter() - began)
        except (BrokenError, OSError):
            seen.refused += 1
        seen.grown = max(seen.grown, server.program.rss - before)
        seen.gone_after = slow.drip(more)
        time.sleep(PAUSE)
    slow.close()
    client.close()
    return seen


def connected(port: int, first: bytes) -> socket.socket:
    """A connection that sent its first bytes and will not read much."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    made.connect(("127.0.0.1", port))
    made.sendall(first)
    made.setblocking(False)  # noqa: FBT003 - its signature
    return made
