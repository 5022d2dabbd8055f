"""HTTP connections with deadlines: who sends or reads too slowly is put out, so that a scrape always finds room.

uvicorn itself closes idle connections only: one that drips its headers, or never reads its answer, would stay for ever.
"""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST: Final = 4000  # connections; beyond it the one that has waited longest without a request goes


@dataclass
class Patience:
    """How many seconds a request may take to come and its answer to be read, and how many bytes it may have.

    `count` connections are open, at most `most`. `waiting` holds those without a whole request, the longest waiting
    first.
    """

    request: float = 10.0
    answer: float = 60.0
    bytes: int = 65_536
    most: int = MOST
    waiting: dict["Protocol", None] = field(default_factory=dict)
    count: int = 0


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._request_timer: asyncio.TimerHandle | None = None
        self._answer_timer: asyncio.TimerHandle | None = None
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A new connection: it must bring a request in time."""
        super().connection_made(transport)
        # asyncio does it for sockets that say TCP by number, which those of socket.create_server do not: then head and
        # body of a small answer wait 40 ms for each other.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience.count += 1
        if self._patience.count > self._patience.most and self._patience.waiting:
            next(iter(self._patience.waiting)).transport.abort()
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection, whoever ended it."""
        self._patience.count -= 1
        self._stop_waiting()
        self._cancel_answer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: the first ones after an answer start its time."""
        if self._request_timer is None and self.cycle.response_complete:
            self._wait_for_request()
        if self._request_timer is not None:
            self._received += len(data)
            if self._received > self._patience.bytes:
                self.send_400_response("The request is too large.")
                return
        super().data_received(data)

    def on_message_complete(self) -> None:
        """The whole request is here: now its answer must be read in time."""
        self._stop_waiting()
        super().on_message_complete()
        if self._answer_timer is None or not self.transport.get_write_buffer_size():
            self._cancel_answer()
            self._answer_timer = self.loop.call_later(self._patience.answer, self._end_answer)

    def on_response_complete(self) -> None:
        """All of the answer was handed over; what is not read yet keeps its deadline."""
        super().on_response_complete()
        if not self.transport.get_write_buffer_size():
            self._cancel_answer()

    def _wait_for_request(self) -> None:
        self._received = 0
        self._patience.waiting[self] = None
        self._request_timer = self.loop.call_later(self._patience.request, self.transport.abort)

    def _stop_waiting(self) -> None:
        self._patience.waiting.pop(self, None)
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _cancel_answer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def _end_answer(self) -> None:
        """Puts the connection out, unless its answer was read while nobody looked."""
        self._answer_timer = None
        if self.transport.get_write_buffer_size() or not self.cycle.response_complete:
            self.transport.abort()
