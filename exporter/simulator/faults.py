"""Scenarios on the socket itself: slow, endless, cut off, or no HTTP at all."""

import math
from collections.abc import Iterator, Mapping
from itertools import repeat
from typing import Final

from exporter.simulator.replies import JSON, Ask, encode, envelope
from exporter.simulator.wire import Ending, Scenario, Wire, head, whole

HANG_SECONDS: Final = 120.0
SLOW_SECONDS: Final = 3.0
DRIP_SECONDS: Final = 0.2
BIG_BYTES: Final = 100_000_000
BLOCK: Final = b" " * 100_000
PROMISED: Final = ("Content-Length", "1000000")


def _slow(ask: Ask) -> Wire:
    wire = whole(ask.normal)
    return wire._replace(pieces=[SLOW_SECONDS if ask.seconds is None else ask.seconds, *wire.pieces])


def _hang(ask: Ask) -> Wire:
    return Wire([HANG_SECONDS if ask.seconds is None else ask.seconds], ending=Ending.CLOSE)


def _drip(start: bytes, drop: bytes, ask: Ask) -> Wire:
    """`start`, then a drop every 0.2 s, for ever or for the seconds that were asked for."""
    seconds = math.inf if ask.seconds is None else ask.seconds

    def pieces() -> Iterator[bytes | float]:
        yield start
        dripped = 0.0
        while dripped < seconds:
            yield DRIP_SECONDS
            yield drop
            dripped += DRIP_SECONDS

    return Wire(pieces(), 200, Ending.CLOSE)


def _drip_headers(ask: Ask) -> Wire:
    return _drip(head(200, (JSON,))[:-2] + b"X-Drip: ", b"x", ask)


def _drip_body(ask: Ask) -> Wire:
    return _drip(head(200, (JSON, PROMISED)), b" ", ask)


def _big() -> Iterator[bytes]:
    """Valid JSON of 100 MB and a few bytes, most of it blanks inside an empty array."""
    start, end = encode(envelope(())).split(b"]")
    yield start
    yield from repeat(BLOCK, BIG_BYTES // len(BLOCK))
    yield b"]" + end


def _big_body(_: Ask) -> Wire:
    length = str(BIG_BYTES + len(encode(envelope(()))))

    def pieces() -> Iterator[bytes | float]:
        yield head(200, (JSON, ("Content-Length", length)))
        yield from _big()

    return Wire(pieces(), 200)


def _big_chunked(_: Ask) -> Wire:
    def pieces() -> Iterator[bytes | float]:
        yield head(200, (JSON, ("Transfer-Encoding", "chunked")))
        yield from (b"%x\r\n%b\r\n" % (len(part), part) for part in _big())
        yield b"0\r\n\r\n"

    return Wire(pieces(), 200)


def _short_body(ask: Ask) -> Wire:
    return Wire([head(200, (JSON, PROMISED)), ask.normal.body], 200, Ending.CLOSE)


FAULTS: Final[Mapping[str, Scenario]] = {
    "slow": Scenario("the normal answer, later; the server works on when the client leaves (knob: seconds, 3)", _slow),
    "hang": Scenario("not a byte, then the end of the connection (knob: seconds, 120)", _hang),
    "drip_headers": Scenario("a header that grows by a byte every 0.2 s (knob: seconds, for ever)", _drip_headers),
    "drip_body": Scenario("a body that grows by a byte every 0.2 s (knob: seconds, for ever)", _drip_body),
    "big_body": Scenario("100 MB of valid JSON with their Content-Length", _big_body),
    "big_chunked": Scenario("100 MB of valid JSON in chunks", _big_chunked),
    "short_body": Scenario("the connection ends before the promised Content-Length", _short_body),
    "reset_after_headers": Scenario(
        "headers, then a reset of the connection",
        lambda _: Wire([head(200, (JSON, PROMISED))], 200, Ending.RESET),
    ),
    "reset_at_once": Scenario("a reset of the connection without a byte", lambda _: Wire([], ending=Ending.RESET)),
    "close_at_once": Scenario("the end of the connection without a byte", lambda _: Wire([], ending=Ending.CLOSE)),
    "not_http": Scenario(
        "bytes that are no HTTP", lambda _: Wire([b"\x16\x03\x01\x00\x02garbage\r\n\r\n"], ending=Ending.CLOSE)
    ),
}
