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


class Sums:
    """The checksum of many parts in a row, of which now and then some become others.

    A tree of halves: a part that changes costs one combination for each level, not one for each part.
    """

    def __init__(self, count: int) -> None:
        self._leaves = 1 << max(0, count - 1).bit_length()
        self._nodes = [(0, 0)] * (2 * self._leaves)  # checksum and size; the children of n are 2n and 2n + 1
        self._stale: set[int] = set()

    def put(self, place: int, crc: int, size: int) -> None:
        """Sets the part at the place; one of 0 bytes is none."""
        self._nodes[self._leaves + place] = crc, size
        self._stale.add((self._leaves + place) // 2)

    def total(self) -> tuple[int, int]:
        """Checksum and size of all parts."""
        while self._stale:
            for node in self._stale:
                (left, before), (right, behind) = self._nodes[2 * node], self._nodes[2 * node + 1]
                self._nodes[node] = combined(left, right, behind), before + behind
            self._stale = {node // 2 for node in self._stale} - {0}
        return self._nodes[1]
