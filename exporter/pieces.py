"""Bytes in pieces, each compressed once, joined to one gzip member. Knows no metric.

Several members are more than some clients read (curl, httpx). Deflated data may be cut after a full flush: it ends on
a byte there and refers to nothing before it, so such parts can be put together in any order.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL: Final = 1  # a piece is compressed as often as it changes; higher levels take several times as long
RAW: Final = -zlib.MAX_WBITS
Parts = tuple[bytes, ...]


class Piece(NamedTuple):
    """Some bytes, plain (as parts that others keep too) and deflated up to a full flush."""

    plain: Parts
    deflated: bytes


class Whole(NamedTuple):
    """Pieces put together: both forms, the checksum and the number of the plain bytes."""

    plain: Parts
    deflated: bytes
    crc: int
    size: int


def piece(plain: Parts) -> Piece:
    """The parts with their compressed form."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
    deflated = [squeeze.compress(part) for part in plain]
    return Piece(plain, b"".join((*deflated, squeeze.flush(zlib.Z_FULL_FLUSH))))


def whole(pieces: Iterable[Piece]) -> Whole:
    """The pieces one after the other."""
    together = tuple(pieces)
    plain = tuple([part for each in together for part in each.plain])
    crc = 0
    for part in plain:
        crc = zlib.crc32(part, crc)
    return Whole(plain, b"".join([each.deflated for each in together]), crc, sum(map(len, plain)))


def plain(start: Whole, rest: bytes) -> bytes:
    """The bytes of both."""
    return b"".join((*start.plain, rest))


def gzipped(start: Whole, rest: bytes) -> bytes:
    """One gzip member of both."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
    end = squeeze.compress(rest) + squeeze.flush()
    trailer = struct.pack("<II", zlib.crc32(rest, start.crc), (start.size + len(rest)) & 0xFFFFFFFF)
    return b"".join((GZIP_HEADER, start.deflated, end, trailer))
