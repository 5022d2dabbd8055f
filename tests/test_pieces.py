"""Pieces of bytes, each compressed once, in one gzip member."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import pieces
from exporter.pieces import CHUNK

PARTS = st.lists(st.binary(max_size=300), max_size=4).map(tuple)


def joined(stream: pieces.Stream) -> bytes:
    text = b"".join(stream.chunks)
    assert len(text) == stream.size
    return text


@given(st.lists(PARTS, max_size=6), st.binary(max_size=300))
def test_the_member_is_one_and_holds_all_parts_in_their_order(sources, rest) -> None:
    start = pieces.whole(map(pieces.piece, sources))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)

    text = reader.decompress(joined(pieces.gzipped(start, rest))) + reader.flush()

    assert text == joined(pieces.plain(start, rest)) == b"".join(part for source in sources for part in source) + rest
    assert reader.eof
    assert not reader.unused_data


@given(st.lists(st.lists(PARTS, max_size=3), max_size=3))
def test_wholes_of_wholes_have_the_checksum_of_their_bytes(nested) -> None:
    made = pieces.whole(pieces.whole(map(pieces.piece, sources)) for sources in nested)

    text = b"".join(part for sources in nested for source in sources for part in source)
    assert (made.crc, made.size) == (zlib.crc32(text), len(text))


def test_a_piece_stands_in_any_place() -> None:
    first, second = (pieces.piece((bytes([number]) * 70_000,)) for number in (1, 2))

    bodies = [
        gzip.decompress(joined(pieces.gzipped(pieces.whole(order), b"")))
        for order in ((first, second), (second, first))
    ]

    assert bodies[0][:70_000] == bodies[1][70_000:]
    assert bodies[1][0] == 2


def test_a_piece_keeps_the_parts_it_was_given() -> None:
    part = b"x" * 1000

    assert pieces.piece((part,)).plain[0][0] is part


SIZES = [(), (1,), (0, 5), (CHUNK,), (CHUNK + 1,), (10, CHUNK * 3 + 7, 10), (CHUNK // 2,) * 5]


@pytest.mark.parametrize("sizes", SIZES)
def test_chunks_are_no_larger_than_a_chunk_and_small_parts_go_together(sizes) -> None:
    parts = [bytes([place]) * size for place, size in enumerate(sizes)]

    made = list(pieces.chunks(parts))

    assert b"".join(made) == b"".join(parts)
    assert all(0 < len(chunk) <= CHUNK for chunk in made)
    assert len(made) <= sum(sizes) // CHUNK * 2 + 2


def test_a_large_part_is_not_copied() -> None:
    part = b"x" * (CHUNK * 2)

    assert all(isinstance(chunk, memoryview) and chunk.obj is part for chunk in pieces.chunks([part]))
