"""CRC-32 of bytes that are put together, from the CRCs of the parts: no byte is read again. Pure.

A checksum is a polynomial over GF(2), taken modulo the one of CRC-32. Bytes that follow multiply it by a power of x;
zlib has this as crc32_combine, which Python does not show.
"""

from typing import Final

DEGREE: Final = 32
POLYNOMIAL: Final = 0x104C11DB7  # of CRC-32, coefficient by coefficient: bit k stands for x to the power of k
BYTES_OF_A_SIZE: Final = 6  # more than any page has
SLOT: Final = 6  # bits for each coefficient of a spread polynomial: the sum of 32 products has room there


def spread(bits: int) -> int:
    """A polynomial with a slot for each coefficient: so one multiplication of integers multiplies polynomials.

    The sums that arise in the slots are right modulo 2 once all but the lowest bit of each is dropped. Bit by bit in
    Python it would take five times as long.
    """
    return sum(1 << SLOT * place for place in range(bits.bit_length()) if bits >> place & 1)


def quotient() -> int:
    """X to the power of 64 divided by the polynomial, without what remains: for division by multiplication."""
    left, made = 1 << 2 * DEGREE, 0
    for place in range(DEGREE, -1, -1):
        if left >> (place + DEGREE) & 1:
            left ^= POLYNOMIAL << place
            made |= 1 << place
    return made


MODULUS: Final = spread(POLYNOMIAL)
INVERSE: Final = spread(quotient())
ODD: Final = spread((1 << 2 * DEGREE + 1) - 1)  # the lowest bit of every slot
LOW: Final = (1 << SLOT * DEGREE) - 1
BYTES: Final = tuple([spread(int(f"{byte:08b}"[::-1], 2)) for byte in range(256)])  # a checksum has x^0 at its top


def combined(crc: int, following: int, size: int) -> int:
    """The checksum of bytes with the checksum `crc` and `size` more with the checksum `following`."""
    return gathered(product(power(size), polynomial(crc))) ^ following


def polynomial(crc: int) -> int:
    """A checksum as a spread polynomial."""
    return (
        BYTES[crc >> 24]
        | BYTES[crc >> 16 & 255] << 8 * SLOT
        | BYTES[crc >> 8 & 255] << 16 * SLOT
        | BYTES[crc & 255] << 24 * SLOT
    )


def gathered(polynomial: int) -> int:
    """The checksum of a spread polynomial."""
    return sum(1 << DEGREE - 1 - place for place in range(DEGREE) if polynomial >> SLOT * place & 1)


def product(left: int, right: int) -> int:
    """Both spread polynomials multiplied, and reduced as Barrett does it: by two more multiplications."""
    made = left * right & ODD
    multiple = ((made >> SLOT * DEGREE) * INVERSE & ODD) >> SLOT * DEGREE
    return (made ^ multiple * MODULUS & ODD) & LOW


def powers() -> tuple[tuple[int, ...], ...]:
    """For each byte of a size and each value of it what so many bytes that follow multiply a checksum with, spread."""
    made, one = [], spread(1 << 8)
    for _ in range(BYTES_OF_A_SIZE):
        row = [spread(1)]
        while len(row) <= 256:  # noqa: PLR2004 - the values of a byte, and one for the next row
            row.append(product(one, row[-1]))
        one = row.pop()
        made.append(tuple(row))
    return tuple(made)


POWERS: Final = powers()


def power(size: int) -> int:
    """X to the power of the bits of so many bytes, spread."""
    made, place = POWERS[0][size & 255], 1
    while size := size >> 8:
        made = product(POWERS[place][size & 255], made)
        place += 1
    return made


class Sums:
    """The checksum of many parts in a row, of which now and then some become others.

    A tree of halves: a part that changes costs one combination for each level, not one for each part.
    """

    def __init__(self, count: int) -> None:
        self._leaves = 1 << max(0, count - 1).bit_length()
        # Spread checksum and size; the children of n are 2n and 2n + 1.
        self._nodes = [(0, 0)] * (2 * self._leaves)
        self._stale: set[int] = set()

    def put(self, place: int, crc: int, size: int) -> None:
        """Sets the part at the place; one of 0 bytes is none."""
        self._nodes[self._leaves + place] = polynomial(crc), size
        self._stale.add((self._leaves + place) // 2)

    def total(self) -> tuple[int, int]:
        """Checksum and size of all parts."""
        while self._stale:
            for node in self._stale:
                (left, before), (right, behind) = self._nodes[2 * node], self._nodes[2 * node + 1]
                self._nodes[node] = product(power(behind), left) ^ right, before + behind
            self._stale = {node // 2 for node in self._stale} - {0}
        crc, size = self._nodes[1]
        return gathered(crc), size
