"""Pieces of bytes, each compressed once, in one gzip member."""

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from exporter import pieces

PARTS = st.lists(st.binary(max_size=300), max_size=4).map(tuple)


@given(st.lists(PARTS, max_size=6), st.binary(max_size=300))
def test_the_member_is_one_and_holds_all_parts_in_their_order(sources, rest) -> None:
    start = pieces.whole(map(pieces.piece, sources))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)

    text = reader.decompress(pieces.gzipped(start, rest)) + reader.flush()

    assert text == pieces.plain(start, rest) == b"".join(part for source in sources for part in source) + rest
    assert reader.eof
    assert not reader.unused_data


def test_a_piece_stands_in_any_place() -> None:
    first, second = (pieces.piece((bytes([number]) * 70_000,)) for number in (1, 2))

    bodies = [gzip.decompress(pieces.gzipped(pieces.whole(order), b"")) for order in ((first, second), (second, first))]

    assert bodies[0][:70_000] == bodies[1][70_000:]
    assert bodies[1][0] == 2


def test_a_piece_keeps_the_parts_it_was_given() -> None:
    part = b"x" * 1000

    assert pieces.piece((part,)).plain[0] is part
