"""How much is measured: all of it, or what two minutes allow."""

import sys
from dataclasses import dataclass
from typing import Final

from benchmarks.loads import LARGE, MANY, SERIES, Load


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds. `speed` divides the intervals of the polls.

    `looks` of Prometheus, each of so many scrapes as `sights`, are had at the loads in `seen`.
    """

    loads: tuple[Load, ...]
    seen: tuple[Load, ...]
    rounds: int
    seconds: float
    starts: int
    looks: int
    sights: int
    many: Load
    large: Load
    crowded: Load
    speed: float
    beside: float
    landings: int
    slow: int
    stalled: int
    patience: float


FULL: Final = Plan(
    loads=(*SERIES, MANY, LARGE),
    seen=SERIES,
    rounds=5,
    seconds=0.6,
    starts=3,
    looks=2,
    sights=4,
    many=MANY,
    large=LARGE,
    crowded=SERIES[-1],
    speed=1.0,
    beside=60.0,
    landings=10,
    slow=1000,
    stalled=20,
    patience=75.0,
)
QUICK: Final = Plan(
    loads=SERIES[:2],
    seen=SERIES[:1],
    rounds=2,
    seconds=0.2,
    starts=1,
    looks=1,
    sights=1,
    many=Load("50 x 100", 50, 100),
    large=Load("1 x 5,000", 1, 5000),
    crowded=SERIES[1],
    speed=30.0,
    beside=5.0,
    landings=2,
    slow=100,
    stalled=5,
    patience=5.0,
)


def say(text: str) -> None:
    """One line to whoever waits."""
    sys.stderr.write(f"bench: {text}\n")
    sys.stderr.flush()
