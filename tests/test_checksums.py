"""CRC-32 of bytes that are put together."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from exporter.checksums import combined


@given(st.binary(), st.binary())
def test_the_checksum_of_both_comes_from_the_checksums_of_each(first, second) -> None:
    assert combined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.binary(max_size=50), st.integers(0, 5_000_000))
def test_it_holds_for_many_bytes(first, size) -> None:
    second = bytes(size)

    assert combined(zlib.crc32(first), zlib.crc32(second), size) == zlib.crc32(first + second)
