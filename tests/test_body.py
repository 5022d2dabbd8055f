"""Bodies in pieces: caps, gzip, room."""

import gzip

import pytest

from exporter.body import KEPT, PIECE, ROOMY, EncodingError, Heard, TooLargeError, capped, collected, unpacked


def test_a_cap_counts_pieces_and_stops_before_the_one_that_is_too_much() -> None:
    pieces = capped([b"12", b"34", b"5"], 4)

    assert [next(pieces), next(pieces)] == [b"12", b"34"]
    with pytest.raises(TooLargeError):
        next(pieces)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_what_is_not_packed_passes(encoding) -> None:
    assert list(unpacked([b"a", b"b"], encoding)) == [b"a", b"b"]


PLAIN = b"plain " * 50_000


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_unpacked_however_it_is_cut(size, encoding) -> None:
    packed = gzip.compress(PLAIN) + b"\0\0\0" + gzip.compress(b"end") + b"\0\0"
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]

    unpacked_pieces = list(unpacked(pieces, encoding))

    assert b"".join(unpacked_pieces) == PLAIN + b"end"
    assert max(map(len, unpacked_pieces)) <= PIECE


def test_gzip_that_fills_a_piece_to_the_byte_is_unpacked_whole() -> None:
    packed = gzip.compress(bytes(PIECE))

    for size in range(1, len(packed) + 1):
        cut = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert sum(map(len, unpacked(cut, "gzip"))) == PIECE


def test_room_is_asked_for_once_when_a_body_grows_large() -> None:
    asked = []

    body = collected([b"x" * PIECE] * 20, lambda: asked.append(1))

    assert (len(body), asked) == (20 * PIECE, [1])


def test_a_small_body_asks_for_no_room() -> None:
    assert collected([b"x" * ROOMY], lambda: pytest.fail("asked for room")) == b"x" * ROOMY


def test_of_a_body_the_start_is_heard_and_its_whole_size() -> None:
    heard = Heard()
    pieces = [b"a" * (KEPT - 1), b"bcd", b"e"]

    assert list(heard.passed(pieces)) == pieces
    assert (len(heard.start), bytes(heard.start[-2:]), heard.size) == (KEPT, b"ab", KEPT + 3)


def test_of_a_body_that_ends_early_is_heard_what_came() -> None:
    heard = Heard()
    with pytest.raises(TooLargeError):
        collected(capped(heard.passed([b"12", b"34"]), 3), lambda: None)

    assert (bytes(heard.start), heard.size) == (b"1234", 4)


def test_nothing_that_is_packed_is_nothing() -> None:
    assert list(unpacked([], "gzip")) == []


def test_gzip_with_garbage_behind_it_is_broken() -> None:
    with pytest.raises(EncodingError, match="not gzip"):
        list(unpacked([gzip.compress(b"a") + b"garbage"], "gzip"))
