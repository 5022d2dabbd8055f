"""Bytes in pieces, each compressed once, joined to one gzip member and given out in chunks. Knows no metric.

Several members are more than some clients read (curl, httpx). Deflated data may be cut after a full flush: it ends on
a byte there and refers to nothing before it, so such parts can be put together in any order.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from exporter.checksums import combined

GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL: Final = 3  # a fifth smaller than the fastest level for next to nothing; higher ones take several times as long
RAW: Final = -zlib.MAX_WBITS
CHUNK: Final = 65_536  # bytes that are handed over at a time: what a reader that stalls holds in memory
Parts = tuple[bytes, ...]


class Piece(NamedTuple):
    """Some bytes: plain, as parts that others keep too; deflated up to a full flush; checksum and number."""

    plain: tuple[Parts, ...]
    deflated: bytes
    crc: int
    size: int


class Stream(NamedTuple):
    """Bytes on their way: how many, and chunk by chunk."""

    size: int
    chunks: Iterator[bytes | memoryview]


def piece(plain: Parts) -> Piece:
    """The parts with their compressed form."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
    deflated = [squeeze.compress(part) for part in plain]
    crc = 0
    for part in plain:
        crc = zlib.crc32(part, crc)
    return Piece((plain,), b"".join((*deflated, squeeze.flush(zlib.Z_FULL_FLUSH))), crc, sum(map(len, plain)))


def whole(pieces: Iterable[Piece]) -> Piece:
    """The pieces one after the other, as one."""
    together = tuple(pieces)
    crc = 0
    for each in together:
        crc = combined(crc, each.crc, each.size)
    plain = tuple([parts for each in together for parts in each.plain])
    return Piece(plain, b"".join([each.deflated for each in together]), crc, sum(each.size for each in together))


def plain(start: Piece, rest: bytes) -> Stream:
    """The bytes of both; what lies in memory is not copied as a whole."""
    parts = (part for parts in start.plain for part in parts)
    return Stream(start.size + len(rest), chunks((*parts, rest)))


def gzipped(start: Piece, rest: bytes) -> Stream:
    """One gzip member of both."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
    trailer = struct.pack("<II", zlib.crc32(rest, start.crc), (start.size + len(rest)) & 0xFFFFFFFF)
    end = b"".join((squeeze.compress(rest), squeeze.flush(), trailer))
    return Stream(len(GZIP_HEADER) + len(start.deflated) + len(end), chunks((GZIP_HEADER, start.deflated, end)))


def chunks(parts: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """The parts in chunks of about `CHUNK` bytes: small ones together, of a large one views."""
    gathered: list[bytes] = []
    size = 0
    for part in parts:
        if size + len(part) > CHUNK and gathered:
            yield b"".join(gathered)
            gathered, size = [], 0
        if len(part) > CHUNK:
            view = memoryview(part)
            yield from (view[place : place + CHUNK] for place in range(0, len(part), CHUNK))
        else:
            gathered.append(part)
            size += len(part)
    if gathered:
        yield b"".join(gathered)
