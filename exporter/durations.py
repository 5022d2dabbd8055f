"""Durations as Prometheus writes them: 90 seconds are "1m30s". Pure."""

import math
import re
from typing import Final

from exporter.model import DAY, HOUR, MINUTE

UNITS: Final = {"y": 365 * DAY, "w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": 1.0, "ms": 0.001}
PATTERN: Final = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in UNITS))
WRITTEN_WITH: Final = ("d", "h", "m", "s")


def parsed(text: str) -> float | None:
    """Seconds of a text such as 1h30m, units in falling order, each at most once; None where it is none."""
    match = PATTERN.fullmatch(text)
    if match is None or not text:
        return None
    return math.fsum(int(amount or 0) * unit for amount, unit in zip(match.groups(), UNITS.values(), strict=True))


def written(seconds: float) -> str:
    """The text of so many seconds, at least 0; a part of a second is written as a number, "1.5s"."""
    if seconds != round(seconds):
        return f"{seconds:g}s"
    text, left = "", round(seconds)
    for unit in WRITTEN_WITH:
        size = int(UNITS[unit])
        if left >= size:
            text += f"{left // size}{unit}"
            left %= size
    return text or "0s"
