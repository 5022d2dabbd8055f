"""The socket: a thread a connection, and the end of all of them within a moment of `close`."""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from typing import Final

from exporter.simulator.request import Request, read_request
from exporter.simulator.wire import Ending, Wire

JOIN_SECONDS: Final = 5.0
NO_LINGER: Final = struct.pack("ii", 1, 0)

# A request, and what comes back: its answer, and whom to tell that the answer is complete.
Answered = tuple[Wire, Callable[[], None]]


class Connection(socketserver.StreamRequestHandler):
    """Requests of one client, one after the other, until one side has enough."""

    server: "Server"
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer until the end; a client that has gone is nothing to speak of."""
        with contextlib.suppress(OSError):
            while (request := read_request(self.rfile)) is not None:
                wire, finish = self.server.answer(request)
                self._send(wire, finish)
                if request.is_last or wire.ending is not Ending.KEEP:
                    break

    def _send(self, wire: Wire, finish: Callable[[], None]) -> None:
        """Send all pieces; `finish` is called just before the last one, or when it turns out that none will follow."""
        try:
            last = self._send_all_but_last(wire)
        finally:
            finish()
        self.request.sendall(last)
        if wire.ending is Ending.RESET:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)

    def _send_all_but_last(self, wire: Wire) -> bytes:
        held = b""
        for piece in wire.pieces:
            if held:
                self.request.sendall(held)
            held = b""
            if isinstance(piece, bytes):
                held = piece
            elif self.server.closing.wait(piece):
                raise ConnectionAbortedError
        return held


class Server(socketserver.ThreadingTCPServer):
    """Listens on loopback from the moment it is made until `close`."""

    allow_reuse_address = True
    request_queue_size = 512
    timeout = 1.0

    def __init__(self, port: int, answer: Callable[[Request], Answered]) -> None:
        super().__init__(("127.0.0.1", port), Connection)
        self.answer = answer
        self._address = "127.0.0.1", int(self.server_address[1])
        self.closing = threading.Event()
        self._guard = threading.Lock()
        self._clients: dict[threading.Thread, socket.socket] = {}
        self._thread = threading.Thread(target=self._listen, daemon=True, name="simulator")
        self._thread.start()

    def _listen(self) -> None:
        while not self.closing.is_set():
            self.handle_request()

    def verify_request(self, request: socket.socket, client_address: tuple[str, int]) -> bool:  # type: ignore[override]
        """Nobody is served any more once `close` began."""
        del request, client_address
        return not self.closing.is_set()

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """Serve a connection in a thread of its own, which `close` can find from the first moment."""
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self._guard:
            self._clients[thread] = request
        thread.start()

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """The body of that thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                del self._clients[threading.current_thread()]

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close, without the half-close that comes first elsewhere: a FIN would spoil a reset."""
        self.close_request(request)

    def close(self) -> None:
        """Stop listening, hang up on everybody, wait for the threads."""
        self.closing.set()
        # A connection wakes the listener at once, on every platform; without one it looks up within a second.
        with contextlib.suppress(OSError), socket.create_connection(self._address, self.timeout):
            self._thread.join()
        self._thread.join()
        self.server_close()
        with self._guard:
            clients = dict(self._clients)
        for client in clients.values():
            _hang_up(client)
        for thread in clients:
            thread.join(JOIN_SECONDS)


def _hang_up(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
