"""What goes over the socket: pieces of bytes with pauses between, and how it ends. Pure."""

from collections.abc import Callable, Iterable
from enum import Enum, auto
from http import HTTPStatus
from typing import NamedTuple

from exporter.simulator.replies import Ask, Header, Reply


class Ending(Enum):
    """What becomes of the connection after the last piece."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()


class Wire(NamedTuple):
    """An answer as it is sent; a float among the pieces is a pause in seconds. `status` None: no HTTP status came."""

    pieces: Iterable[bytes | float]
    status: int | None = None
    ending: Ending = Ending.KEEP


class Scenario(NamedTuple):
    """A way to answer: one line for people, and the answer itself."""

    description: str
    answer: Callable[[Ask], Wire]


def replied(description: str, reply: Callable[[Ask], Reply]) -> Scenario:
    """A scenario whose answer is well-formed as HTTP."""
    return Scenario(description, lambda ask: whole(reply(ask)))


def head(status: int, headers: Iterable[Header]) -> bytes:
    """Status line and headers, up to the blank line."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Server: wolkvox-simulator"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def whole(reply: Reply) -> Wire:
    """A reply in one piece; the connection stays open unless the reply's own headers say close."""
    headers = reply.headers
    if reply.status != HTTPStatus.NO_CONTENT:
        headers = (*headers, ("Content-Length", str(len(reply.body))))
    ending = Ending.CLOSE if ("Connection", "close") in headers else Ending.KEEP
    return Wire([head(reply.status, headers) + reply.body], reply.status, ending)
