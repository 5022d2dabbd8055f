"""CRC-32 of bytes that are put together."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.checksums import Sums, combined


@given(st.binary(), st.binary())
def test_the_checksum_of_both_comes_from_the_checksums_of_each(first, second) -> None:
    assert combined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.binary(max_size=50), st.integers(0, 5_000_000))
def test_it_holds_for_many_bytes(first, size) -> None:
    second = bytes(size)

    assert combined(zlib.crc32(first), zlib.crc32(second), size) == zlib.crc32(first + second)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_536, 65_537, 16_777_216])
def test_it_holds_for_sizes_with_bytes_of_nothing(size) -> None:
    second = bytes(size)

    assert combined(zlib.crc32(b"first"), zlib.crc32(second), size) == zlib.crc32(b"first" + second)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20), st.data())
def test_the_sum_of_many_parts_follows_the_one_that_changes(parts, data) -> None:
    sums = Sums(len(parts))
    for place, part in enumerate(parts):
        sums.put(place, zlib.crc32(part), len(part))
    first = sums.total()
    place, fresh = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.binary(max_size=40))
    sums.put(place, zlib.crc32(fresh), len(fresh))

    text, changed = b"".join(parts), b"".join((*parts[:place], fresh, *parts[place + 1 :]))
    assert first == (zlib.crc32(text), len(text))
    assert sums.total() == (zlib.crc32(changed), len(changed))


def test_the_sum_of_no_parts_is_that_of_no_bytes() -> None:
    assert Sums(0).total() == (0, 0)
