"""The client, the same for every server: a socket, one request after the other, the body read and thrown away."""

import http.client
import socket
from contextlib import suppress
from enum import StrEnum
from typing import Final

ROOM: Final = 1 << 20  # bytes that are read at once
LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
TIMEOUT: Final = 120.0


class Form(StrEnum):
    """What is asked for."""

    GZIP = "text, gzip"
    PLAIN = "text, plain"
    OPENMETRICS = "OpenMetrics, gzip"

    @property
    def headers(self) -> str:
        """The request's headers, each with its line end."""
        wants_openmetrics = self is Form.OPENMETRICS
        accept = "application/openmetrics-text; version=1.0.0" if wants_openmetrics else "text/plain; version=0.0.4"
        coding = "identity" if self is Form.PLAIN else "gzip"
        return f"Accept: {accept}\r\nAccept-Encoding: {coding}\r\n"


class BrokenError(Exception):
    """What came is not the page."""


class Client:
    """Asks one port for one path again and again, on one connection for as long as the server keeps it."""

    def __init__(self, port: int, path: str, form: Form) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{form.headers}\r\n".encode()
        self._socket: socket.socket | None = None
        self._room = bytearray(ROOM)

    def scrape(self) -> int:
        """Bytes of one body; BrokenError, OSError."""
        connection = self._socket or socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
        self._socket = None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(self._request)
        head, rest = header(connection, self._room)
        size, is_kept = body(connection, head, rest, self._room)
        if is_kept:
            self._socket = connection
        else:
            connection.close()
        return size

    def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            self._socket.close()


def header(connection: socket.socket, room: bytearray) -> tuple[bytes, bytes]:
    """The header in small letters, and what came of the body with it."""
    came = b""
    while b"\r\n\r\n" not in came:
        count = connection.recv_into(room)
        if not count:
            raise BrokenError("the server closed without an answer")
        came += memoryview(room)[:count]
    head, _, rest = came.partition(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise BrokenError(head.decode("latin-1"))
    return head.lower() + b"\r\n", rest


def body(connection: socket.socket, head: bytes, rest: bytes, room: bytearray) -> tuple[int, bool]:
    """Bytes of the body, and whether the connection may be used again."""
    is_kept = b"connection: close" not in head and not head.startswith(b"http/1.0")
    if b"content-length: " in head:
        size = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
        left = size - len(rest)
        while left > 0:
            left -= received(connection, room)
        return size, is_kept
    if b"transfer-encoding: chunked" in head:
        return chunked(connection, rest, room), is_kept
    size = len(rest)
    while count := connection.recv_into(room):
        size += count
    return size, False


def chunked(connection: socket.socket, rest: bytes, room: bytearray) -> int:
    """Bytes up to the last chunk, those of the chunks' own lines among them."""
    size, end = len(rest), (b"\r\n" + rest)[-len(LAST_CHUNK) :]
    while end != LAST_CHUNK:
        count = received(connection, room)
        size += count
        end = (end + bytes(memoryview(room)[max(0, count - len(LAST_CHUNK)) : count]))[-len(LAST_CHUNK) :]
    return size


def received(connection: socket.socket, room: bytearray) -> int:
    """Bytes that came, at least one; BrokenError when the server closed."""
    count = connection.recv_into(room)
    if not count:
        raise BrokenError("the answer ended early")
    return count


def answers(port: int, path: str) -> bool:
    """True when a GET of the path is answered with 200."""
    with suppress(OSError, http.client.HTTPException):
        return ask(port, path)[0] == http.client.OK
    return False


def ask(port: int, path: str, method: str = "GET", sent: bytes | None = None, accept: str = "") -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    try:
        connection.request(method, path, sent, {"Accept": accept} if accept else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def page(port: int, path: str, form: Form) -> bytes:
    """The body of one answer as it came over the wire, packed or not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    headers = dict(line.split(": ", 1) for line in form.headers.splitlines())
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise BrokenError(f"{path}: status {answer.status}")
        return answer.read()
    finally:
        connection.close()
