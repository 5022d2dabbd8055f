"""HTTP connections with deadlines: who sends or reads too slowly is put out, so that a scrape always finds room.

uvicorn itself closes idle connections only: one that drips its headers, or never reads its answer, would stay for ever.
It also answers a request at the end of its headers, and says afterwards that the rest of it was none: here a request is
answered once it is whole, and a faulty one gets one answer, after those of the requests before it.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from exporter.alarm import Alarm
from exporter.certificates import names

MOST: Final = 4000  # connections; beyond it the one that has waited longest without a request goes
MOST_HEADERS: Final = 200  # of a request; 64 KiB of the shortest ones would be megabytes of objects
MOST_URL: Final = 8192  # bytes; more would be milliseconds of decoding
MOST_WAITING: Final = 256  # requests behind the one that is being answered, for the same reason
MOST_KNOWN: Final = 4096  # bytes of a request that are kept to know it again; scrapers send some hundred
AT_ONCE: Final = 2_097_152  # bytes of an answer after which others have their turn
SMALL: Final = 32_768  # bytes up to which one copy is cheaper than parts for the kernel
VERSIONS: Final = ("1.0", "1.1")


class RefusedError(Exception):
    """A request that is answered with 400 and the end of its connection."""


class Ready(NamedTuple):
    """An answer that nothing has to be waited for: status line and header lines, the body, what its end is told to."""

    head: bytes
    batches: Iterator[Sequence[bytes | memoryview]]
    done: Callable[[], None]


AtOnce = Callable[[Scope], Ready | None]


@dataclass
class Patience:
    """How many seconds a request may take to come, its answer to be read and the next one to begin; bytes of one.

    `count` connections are open, at most `most`. `waiting` holds those without a whole request, the longest waiting
    first.
    """

    request: float = 10.0
    answer: float = 60.0
    idle: float = 90.0  # longer than most scrape intervals
    bytes: int = 65_536
    most: int = MOST
    waiting: dict["Connection", None] = field(default_factory=dict)
    count: int = 0


class Connection(HttpToolsProtocol):
    """One connection.

    What `at_once` has an answer for is written where the request is read: no task, no second turn of the loop, head and
    body in one piece. Everything else, and what it has no answer for, goes to the application.

    Who scrapes sends the same bytes again and again on one connection: such a request is not parsed again, but looked
    at and answered as if it were.
    """

    def __init__(self, *args: Any, patience: Patience, at_once: AtOnce, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._at_once = at_once
        self._may_hurry = False  # once for each piece of data: many requests in one must not hold up the loop
        self._known = b""  # the last piece of data, where it was one whole request, and was answered at once
        self._is_whole = True  # false in the middle of a request
        self._late_request = Alarm(self.loop, self._abort)
        self._late_reader = Alarm(self.loop, self._end_answer)
        self._late_next = Alarm(self.loop, self._end_idle)
        self._idle_since = math.inf
        self._names: frozenset[str] = frozenset()
        self._received = 0  # bytes since the last whole request
        self._running: RequestResponseCycle | None = None  # the one whose answer is under way
        self._next: tuple[RequestResponseCycle, ASGIApp] | None = None  # it is its turn, but its end is still to come
        self._fault = ""  # what the connection ends with, after the answers that are under way

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A new connection: it must bring a request in time."""
        super().connection_made(transport)
        # asyncio does it for sockets that say TCP by number, which those of socket.create_server do not: then head and
        # body of a small answer wait 40 ms for each other.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._names = names(transport.get_extra_info("peercert"))
        self._patience.count += 1
        if self._patience.count > self._patience.most and self._patience.waiting:
            next(iter(self._patience.waiting)).transport.abort()
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection, whoever ended it."""
        self._patience.count -= 1
        self._stop_waiting()
        self._late_reader.stop()
        self._late_next.stop()
        if self._running is not None:  # uvicorn tells the newest request alone
            self._running.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: the first ones after an answer start its time."""
        if self._fault:
            return
        self._idle_since = math.inf
        if data == self._known and self._answered_again():
            return
        self._known = b""
        if not self._late_request.is_set and self._running is None:
            self._wait_for_request()
        self._received += len(data)
        if self._received > self._patience.bytes:
            self.send_400_response("The request is too large.")
            return
        is_start, last = self._is_whole, self.cycle
        self._may_hurry = True
        super().data_received(data)
        self._may_hurry = False
        if is_start and self.cycle is not last and self._is_repeatable(data):
            self._known = data

    def on_message_begin(self) -> None:
        """A request: whose certificate it comes with is part of it."""
        super().on_message_begin()
        self._is_whole = False
        self.scope["state"]["sans"] = self._names

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        super().on_url(url)
        if len(self.url) > MOST_URL:
            raise RefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one trailer behind a chunked body: these are not looked at, since no proxy checked them."""
        if self.cycle is not None and self.cycle.scope is self.scope:  # type: ignore[redundant-expr]  # it may be None
            return
        if len(self.headers) >= MOST_HEADERS:
            raise RefusedError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """All but the body is here."""
        version = self.parser.get_http_version()
        hosts = sum([name == b"host" for name, _ in self.headers])
        if version not in VERSIONS or hosts > 1 or (hosts == 0 and version == "1.1"):
            raise RefusedError
        if len(self.pipeline) >= MOST_WAITING:
            raise RefusedError
        super().on_headers_complete()
        if self.parser.should_upgrade():  # the parser drops what stands behind it, be it the half of a request
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The whole request is here: now its answer must be read in time."""
        self._received = 0
        self._is_whole = True
        self._stop_waiting()
        super().on_message_complete()
        if self._next is not None:
            (cycle, app), self._next = self._next, None
            self._answer(cycle, app)
        self._watch_reader()

    def on_response_complete(self) -> None:
        """All of the answer was handed over; what is not read yet keeps its deadline."""
        self._running = None
        if not self.transport.is_closing():
            self._go_on()
        if self._is_answering():
            self._late_reader.set(self._patience.answer)
        elif not self.transport.get_write_buffer_size():
            self._late_reader.stop()
        self._refuse()

    def send_400_response(self, msg: str) -> None:
        """Ends the connection with this answer: at once, or behind those that are under way."""
        self._fault = msg
        self._stop_waiting()
        self._refuse()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing to say: whoever asks for another protocol is answered in this one."""

    def _refuse(self) -> None:
        if self._fault and self._running is None and not self.transport.is_closing():
            super().send_400_response(self._fault)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]  # as above
        if self.transport.is_closing():  # it stood behind one that was the connection's last
            return
        if not cycle.more_body:
            self._answer(cycle, app)
            return
        self._next = (cycle, app)
        if not self._late_request.is_set:
            self._wait_for_request()
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _answer(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:
        self._running = cycle
        ready = self._hurried(cycle.scope)  # type: ignore[arg-type]  # a mapping, as ASGI has it
        if ready is None:
            super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]  # as uvicorn calls it
            return
        self._give(cycle, ready)

    def _is_repeatable(self, data: bytes) -> bool:
        """True when nothing stands in these bytes but the newest request, and nothing came of it but an answer at once.

        Those behind the first one of a piece never have one.
        """
        is_answered = self._is_whole and self.cycle.response_started
        return is_answered and not self.expect_100_continue and len(data) <= MOST_KNOWN

    def _answered_again(self) -> bool:
        """Answers the last request, which came again; False where it has to be read like any other."""
        if self._running is not None or self.transport.is_closing():
            return False
        cycle = self.cycle
        cycle.scope["state"] = {**self.app_state, "sans": self._names}  # without what the last answer noted there
        self._may_hurry = True
        ready = self._hurried(cycle.scope)  # type: ignore[arg-type]  # as above
        if ready is None:
            return False
        self._running = cycle
        cycle.response_complete = False
        self._give(cycle, ready)
        self._watch_reader()
        return True

    def _give(self, cycle: RequestResponseCycle, ready: Ready) -> None:
        cycle.response_started = True
        ending = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self._write((ready.head + ending, *next(ready.batches, ())))
        given = 0
        for batch in ready.batches:
            # asyncio would go on to watch a socket that failed, under a number that the next connection may have.
            if self.transport.is_closing():
                break
            self._hand_over(batch)
            given += sum(map(len, batch))
            if self.flow.write_paused or given > AT_ONCE:
                task = self.loop.create_task(self._give_rest(cycle, ready))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
                return
        self._finish(cycle, ready)

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        if sum(map(len, parts)) <= SMALL:
            self.transport.write(b"".join(parts))
        else:
            self.transport.writelines(parts)

    def _hurried(self, scope: Scope) -> Ready | None:
        """The answer, where it may be given at once and there is one."""
        if not self._may_hurry or scope["method"] != "GET" or self.flow.write_paused:
            return None
        self._may_hurry = False
        try:
            return self._at_once(scope)
        except Exception:  # noqa: BLE001 - the application meets the same bug, and says so in log and answer
            return None

    async def _give_rest(self, cycle: RequestResponseCycle, ready: Ready) -> None:
        for batch in ready.batches:
            await asyncio.sleep(0)  # others have their turn too while a reader takes all that it is given
            await self.flow.drain()
            if cycle.disconnected or self.transport.is_closing():
                break
            self._hand_over(batch)
        self._finish(cycle, ready)

    def _hand_over(self, batch: Sequence[bytes | memoryview]) -> None:
        """Gives the batch to asyncio: whole, or its end by itself where the reader lags behind.

        asyncio learns of a reader that stalls from `write` alone: since Python 3.12 it forgets to look in `writelines`,
        and all that is left of a page would be kept for each of them.
        """
        if not self.transport.get_write_buffer_size():
            self.transport.writelines(batch)
            return
        *most, last = batch
        self.transport.writelines(most)
        self.transport.write(last)

    def _finish(self, cycle: RequestResponseCycle, ready: Ready) -> None:
        ready.done()
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _go_on(self) -> None:
        """With the next request; idle where there is none.

        The timer is not set anew after each answer, but comes again where it came too early.
        """
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())  # type: ignore[arg-type]  # as uvicorn calls it
            return
        self._idle_since = self.loop.time()
        if not self._late_next.is_set:
            self._late_next.set(self._patience.idle)

    def _end_idle(self) -> None:
        left = self._idle_since + self._patience.idle - self.loop.time()
        if left <= 0:
            self.transport.close()
        elif left < math.inf:
            self._late_next.set(left)

    def _wait_for_request(self) -> None:
        self._received = 0
        self._patience.waiting[self] = None
        self._late_request.set(self._patience.request)

    def _stop_waiting(self) -> None:
        self._patience.waiting.pop(self, None)
        self._late_request.stop()

    def _is_answering(self) -> bool:
        return self._running is not None

    def _watch_reader(self) -> None:
        """Gives the reader its time, unless it has all of the answer, or some time left."""
        is_read = not self.transport.get_write_buffer_size()
        if is_read and self.cycle.response_complete:
            return
        if is_read or not self._late_reader.is_set:
            self._late_reader.set(self._patience.answer)

    def _abort(self) -> None:
        self.transport.abort()

    def _end_answer(self) -> None:
        """Puts the connection out, unless its answer was read while nobody looked."""
        if self.transport.get_write_buffer_size() or not self.cycle.response_complete:
            self.transport.abort()
