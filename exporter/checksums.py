"""CRC-32 of bytes that are put together, from the CRCs of the parts: no byte is read again. Pure.

A checksum is a polynomial over GF(2), taken modulo the one of CRC-32. Bytes that follow multiply it by a power of x;
zlib has this as crc32_combine, which Python does not show.
"""

from functools import lru_cache
from typing import Final

POLYNOMIAL: Final = 0xEDB88320  # of CRC-32, the lowest power in the highest bit
ONE: Final = 1 << 31
BITS_OF_A_BYTE: Final = 3  # as a power of two


def combined(crc: int, following: int, size: int) -> int:
    """The checksum of bytes with the checksum `crc` and `size` more with the checksum `following`."""
    return product(power(size), crc) ^ following


def product(left: int, right: int) -> int:
    """Both polynomials multiplied."""
    made, mask = 0, ONE
    while left:
        if left & mask:
            made ^= right
            left ^= mask
        mask >>= 1
        right = (right >> 1) ^ POLYNOMIAL if right & 1 else right >> 1
    return made


def doublings() -> tuple[int, ...]:
    """X to the power of 1, 2, 4, 8 and so on; after 32 of them they come again."""
    made = [ONE >> 1]
    while len(made) < 32:  # noqa: PLR2004 - as many as the checksum has bits
        made.append(product(made[-1], made[-1]))
    return tuple(made)


DOUBLINGS: Final = doublings()


@lru_cache(maxsize=16_384)
def power(size: int) -> int:
    """X to the power of the bits of so many bytes."""
    made, place = ONE, BITS_OF_A_BYTE
    while size:
        if size & 1:
            made = product(DOUBLINGS[place % len(DOUBLINGS)], made)
        size >>= 1
        place += 1
    return made
