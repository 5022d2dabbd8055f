"""A body as a stream of pieces: never more of it in memory than allowed, packed or unpacked.

Knows gzip and sizes. Knows no socket and no JSON.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

PIECE: Final = 64 * 1024
ROOMY: Final = 1024 * 1024
KEPT: Final = 256 * 1024  # bytes of a body that are handed on as they came

_GZIP: Final = 16 + zlib.MAX_WBITS


class TooLargeError(Exception):
    """A body that has more bytes than it may have."""


class EncodingError(Exception):
    """A body that cannot be unpacked; the text says why."""


class Heard:
    """What came of a body: its first bytes, `KEPT` at most, and how many there were in all. Grows while it is read."""

    __slots__ = ("size", "start")

    def __init__(self) -> None:
        self.start = bytearray()
        self.size = 0

    def passed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces as they come."""
        for piece in pieces:
            self.start += piece[: max(0, KEPT - self.size)]
            self.size += len(piece)
            yield piece


def capped(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The pieces as they come; `TooLargeError` in place of the one that goes beyond `most` bytes."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise TooLargeError
        yield piece


def unpacked(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The pieces without their Content-Encoding: none, identity or gzip; `EncodingError` for any other."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        yield from pieces
    elif name in ("gzip", "x-gzip"):
        yield from _gunzipped(pieces)
    else:
        raise EncodingError("body has an encoding that was not asked for")


def collected(pieces: Iterable[bytes], on_roomy: Callable[[], None]) -> bytearray:
    """All pieces as one; `on_roomy` is called once, when they pass `ROOMY` bytes, and may make them wait."""
    body = bytearray()
    small = True
    for piece in pieces:
        if small and len(body) + len(piece) > ROOMY:
            small = False
            on_roomy()
        body += piece
    return body


def _gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """One or more gzip members, zero padding between and after them; at most `PIECE` bytes are unpacked at a time."""
    member = zlib.decompressobj(_GZIP)
    started = False
    try:
        for packed in pieces:
            rest = packed
            while rest:
                if member.eof:
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    member = zlib.decompressobj(_GZIP)
                started = True
                # What zlib holds back when a piece is full comes with the next input: the checksum is still to come.
                yield member.decompress(rest, PIECE)
                rest = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error:
        raise EncodingError("body is not gzip, though it says so") from None
    if started and not member.eof:
        raise EncodingError("body is gzip that ends early")
