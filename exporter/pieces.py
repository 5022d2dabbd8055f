"""Bytes in pieces, each compressed once, joined to one gzip member and given out in batches. Knows no metric.

Several members are more than some clients read (curl, httpx). Deflated data may be cut after a full flush: it ends on
a byte there and refers to nothing before it, so such parts can be put together in any order.
"""

import struct
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, NamedTuple

from exporter.checksums import combined

GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
LEVEL: Final = 3  # a fifth smaller than the fastest level for next to nothing; higher ones take several times as long
RAW: Final = -zlib.MAX_WBITS
# Bytes that are handed over at a time. asyncio keeps what a stalled reader does not take: before Python 3.12 a copy, so
# that it has to be small there, since then a view of the bytes that lie here anyway.
CHUNK: Final = 1_048_576 if sys.version_info >= (3, 12) else 65_536
COPY: Final = 65_536
FOR_FEW: Final = (-13, 6)  # window and memory that serve up to SMALL bytes
EMPTY: Final = b"\x00\x00\xff\xff"  # length of the empty block of stored bytes that ends a flush, and its complement
LENGTHS: Final = tuple([struct.pack("<HH", size, size ^ 0xFFFF) for size in range(256)])
LAST: Final = b"\x03\x00"  # an empty block that is the last one
SMALL: Final = 16_384  # bytes up to which a copy is cheaper than one more part for the kernel
SLICE: Final = 1024  # packed bytes that are unpacked in one go
WORTHY: Final = 4096  # bytes from which on packing saves more than it costs
FEW: Final = 16  # parts of a batch
Buffer = bytes | memoryview
Batch = Sequence[Buffer]


@dataclass(frozen=True, slots=True)
class Packed:
    """Bytes in their compressed form, and how many they are."""

    deflated: bytes
    size: int

    def __len__(self) -> int:
        return self.size


Part = bytes | Packed
Parts = tuple[Part, ...]


class Piece(NamedTuple):
    """Some bytes: plain, as rows of parts that others keep too; deflated up to a full flush; checksum and number."""

    rows: tuple[Parts, ...]
    deflated: bytes
    crc: int
    size: int


NOTHING: Final = Piece((), b"", 0, 0)


class Filled(NamedTuple):
    """Some bytes for one answer: plain, and deflated up to the end of a block."""

    plain: bytes
    deflated: bytes


class Blanks:
    """Words with blanks between them: the words are compressed once, what fills the blanks is not.

    A flush ends with an empty block of stored bytes, of which the length comes last: what is filled in becomes its
    bytes. To compress two kilobytes anew takes four times as long, for a kilobyte less to be sent.
    """

    def __init__(self, words: Sequence[bytes]) -> None:
        *before, last = [piece((each,)).deflated for each in words]
        self._plain = [part for each in words for part in (each, b"")][:-1]
        self._deflated = [part for each in before for part in (each.removesuffix(EMPTY), b"", b"")] + [last]

    def filled(self, texts: Sequence[bytes]) -> Filled:
        """The words with one text of less than 256 bytes between each two of them."""
        plain, deflated = self._plain.copy(), self._deflated.copy()
        plain[1::2] = deflated[2::3] = texts
        deflated[1::3] = [LENGTHS[len(text)] for text in texts]
        return Filled(b"".join(plain), b"".join(deflated))


class Stream(NamedTuple):
    """Bytes on their way: how many, and batch by batch."""

    size: int
    batches: Iterator[Batch]


def packed(part: Part) -> Part:
    """The part packed, where that is worth its while."""
    if isinstance(part, Packed) or len(part) < WORTHY:
        return part
    squeeze = deflater(len(part))
    return Packed(squeeze.compress(part) + squeeze.flush(), len(part))


def opened(part: Part) -> bytes:
    """The bytes of the part."""
    return zlib.decompress(part.deflated, RAW, part.size) if isinstance(part, Packed) else part


def unpacked(parts: Iterable[Part]) -> Iterator[bytes]:
    """The parts, of a packed one small parts: a reader that stalls keeps no more of it than these."""
    for part in parts:
        if isinstance(part, bytes):
            yield part
        else:
            yield from bit_by_bit(part.deflated)


def bit_by_bit(deflated: bytes) -> Iterator[bytes]:
    """What was deflated, in parts of less than `SMALL` bytes."""
    reader, place, data = zlib.decompressobj(RAW), 0, b""
    while not reader.eof:
        if not data:
            data = deflated[place : place + SLICE]
            place += SLICE
        yield reader.decompress(data, SMALL - 1)
        data = reader.unconsumed_tail


def piece(parts: Parts) -> Piece:
    """The parts with their compressed form."""
    text = b"".join(map(opened, parts))
    squeeze = deflater(len(text))
    deflated = squeeze.compress(text) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return Piece((parts,), deflated, zlib.crc32(text), len(text))


def deflater(size: int) -> Any:
    """What compresses so many bytes; of few ones most of the time would go into making room for many."""
    return zlib.compressobj(LEVEL, zlib.DEFLATED, *((RAW, zlib.DEF_MEM_LEVEL) if size > SMALL else FOR_FEW))


def whole(pieces: Iterable[Piece]) -> Piece:
    """The pieces one after the other, as one."""
    together = tuple(pieces)
    crc = 0
    for each in together:
        crc = combined(crc, each.crc, each.size)
    return joined(together, (crc, sum(each.size for each in together)))


def joined(pieces: Iterable[Piece], total: tuple[int, int]) -> Piece:
    """The same where checksum and size of all together are known."""
    together = tuple(pieces)
    rows = tuple([row for each in together for row in each.rows])
    return Piece(rows, b"".join([each.deflated for each in together]), *total)


def plain(start: Piece, rest: Filled) -> Stream:
    """The bytes of both; what lies in memory is not copied as a whole."""
    parts = chain.from_iterable((*start.rows, (rest.plain,)))
    return Stream(start.size + len(rest.plain), batches(unpacked(parts)))


def gzipped(start: Piece, rest: Filled) -> Stream:
    """One gzip member of both."""
    crc, size = zlib.crc32(rest.plain, start.crc), start.size + len(rest.plain)
    end = b"".join((rest.deflated, LAST, struct.pack("<II", crc, size & 0xFFFFFFFF)))
    parts = (GZIP_HEADER, start.deflated, end)
    is_one = len(start.deflated) <= CHUNK
    return Stream(sum(map(len, parts)), iter((parts,)) if is_one else batches(parts))


def batches(parts: Iterable[bytes]) -> Iterator[Batch]:
    """The parts in batches of at most `CHUNK` bytes, and about `COPY` more that are copied: small parts, put together.

    What a batch holds is what a reader that stalls keeps in memory: views of what lies there cost nothing, copies do.
    """
    batch: list[Buffer] = []
    small: list[bytes] = []
    viewed = copied = 0
    for part in parts:
        if len(part) < SMALL:
            small.append(part)
            copied += len(part)
            if copied >= COPY:
                yield (*batch, b"".join(small))
                batch, small, viewed, copied = [], [], 0, 0
            continue
        if small:
            batch.append(b"".join(small))
            small = []
        for view in views(part):
            if batch and (viewed + len(view) > CHUNK or len(batch) >= FEW):
                yield batch
                batch, viewed, copied = [], 0, 0
            batch.append(view)
            viewed += len(view)
    if batch or copied:
        yield (*batch, b"".join(small))


def views(part: bytes) -> Iterator[Buffer]:
    """The part, in views of at most `CHUNK` bytes where it is larger."""
    if len(part) <= CHUNK:
        return iter((part,))
    view = memoryview(part)
    return (view[place : place + CHUNK] for place in range(0, len(part), CHUNK))
