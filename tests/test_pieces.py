"""Pieces of bytes, each compressed once, in one gzip member."""

import gzip
import os
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import pieces
from exporter.pieces import CHUNK, COPY, FEW, SMALL, WORTHY, Blanks

PARTS = st.lists(st.binary(max_size=300), max_size=4).map(tuple)
FILLED = st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=255)), max_size=5)
NOTHING = Blanks([b""]).filled([])


def flat(batches: Iterable[pieces.Batch]) -> bytes:
    return b"".join(part for batch in batches for part in batch)


def joined(stream: pieces.Stream) -> bytes:
    text = flat(stream.batches)
    assert len(text) == stream.size
    return text


@given(st.lists(PARTS, max_size=6), FILLED, st.binary(max_size=300))
def test_the_member_is_one_and_holds_all_parts_in_their_order(sources, filled, last) -> None:
    start = pieces.whole(map(pieces.piece, sources))
    rest = Blanks([*[word for word, _ in filled], last]).filled([text for _, text in filled])
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)

    text = reader.decompress(joined(pieces.gzipped(start, rest))) + reader.flush()

    parts = (part for parts in (*sources, *filled, (last,)) for part in parts)
    assert text == joined(pieces.plain(start, rest)) == b"".join(parts)
    assert reader.eof
    assert not reader.unused_data


@pytest.mark.parametrize("size", [SMALL, CHUNK - 1000, CHUNK, 3 * CHUNK])
def test_a_member_comes_in_batches_of_which_each_is_a_chunk_at_most(size) -> None:
    start = pieces.piece((os.urandom(size),))
    rest = Blanks([b"end"]).filled([])

    batches = [*pieces.gzipped(start, rest).batches]

    assert max(sum(map(len, batch)) for batch in batches) <= CHUNK + COPY
    assert len(batches) == max(1, -(-len(start.deflated) // CHUNK))


def test_blanks_are_filled_again_and_again() -> None:
    blanks = Blanks([b"from ", b" to ", b"."])

    assert [blanks.filled(texts).plain for texts in ([b"1", b"22"], [b"", b"3"])] == [b"from 1 to 22.", b"from  to 3."]


@given(st.lists(st.lists(PARTS, max_size=3), max_size=3))
def test_wholes_of_wholes_have_the_checksum_of_their_bytes(nested) -> None:
    made = pieces.whole(pieces.whole(map(pieces.piece, sources)) for sources in nested)

    text = b"".join(part for sources in nested for source in sources for part in source)
    assert (made.crc, made.size) == (zlib.crc32(text), len(text))


def test_a_piece_stands_in_any_place() -> None:
    first, second = (pieces.piece((bytes([number]) * 70_000,)) for number in (1, 2))

    bodies = [
        gzip.decompress(joined(pieces.gzipped(pieces.whole(order), NOTHING)))
        for order in ((first, second), (second, first))
    ]

    assert bodies[0][:70_000] == bodies[1][70_000:]
    assert bodies[1][0] == 2


def test_a_piece_keeps_the_parts_it_was_given() -> None:
    part = b"x" * 1000

    assert pieces.piece((part,)).rows[0][0] is part


@given(st.binary(max_size=100), st.integers(0, 3000), st.integers(0, 40))
def test_what_is_packed_is_unpacked_in_small_parts(text, times, noise) -> None:
    whole = text * times + os.urandom(noise * 1000)
    part = pieces.packed(whole)

    made = list(pieces.unpacked([part]))

    assert b"".join(made) == whole == pieces.opened(part)
    assert isinstance(part, pieces.Packed) == (len(whole) >= WORTHY)
    assert isinstance(part, bytes) or max(map(len, made)) < SMALL


def test_who_stalls_keeps_a_few_bytes_of_what_is_packed() -> None:
    start = pieces.piece((pieces.packed(b"wolkvox" * 1_000_000),))

    stream = pieces.plain(start, pieces.Filled(b"end", b""))

    assert max(sum(map(len, batch)) for batch in stream.batches) <= COPY + SMALL


SIZES = [
    (),
    (1,),
    (0, 5),
    (CHUNK,),
    (CHUNK + 1,),
    (10, CHUNK * 3 + 7, 10),
    (CHUNK // 2,) * 5,
    (1,) * 100,
    (SMALL - 1,) * 20,
    (SMALL,) * 40,
    (5, SMALL, 5, SMALL, COPY - 10, 5),
]


@pytest.mark.parametrize("sizes", SIZES)
def test_batches_are_of_few_parts_and_copy_little(sizes) -> None:
    parts = [bytes([place]) * size for place, size in enumerate(sizes)]

    made = list(pieces.batches(parts))

    assert flat(made) == b"".join(parts)
    assert all(0 < len(batch) <= FEW + 2 and sum(map(len, batch)) <= CHUNK + COPY + SMALL for batch in made)
    assert all(
        sum(len(part) for part in batch if part not in parts and isinstance(part, bytes)) < COPY + SMALL
        for batch in made
    )


def test_a_large_part_is_not_copied() -> None:
    part = b"x" * (CHUNK * 2)

    made = [view for batch in pieces.batches([part]) for view in batch if view]
    assert all(isinstance(view, memoryview) and view.obj is part for view in made)
