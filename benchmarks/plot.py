"""A plot with two logarithmic axes as SVG, by hand: points and lines are all it needs."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

WIDTH: Final = 640
HEIGHT: Final = 400
LEFT: Final = 70
BOTTOM: Final = 50
TOP: Final = 40
RIGHT: Final = 170
FONT: Final = 'font-family="sans-serif" font-size="12"'
COLOURS: Final = ("#0b6e4f", "#c1440e", "#6a4c93", "#1d6fa5")

Point = tuple[float, float]


class Axis(NamedTuple):
    """Powers of ten from `low` to `high`, and the pixels where they lie."""

    low: int
    high: int
    start: float
    end: float

    def place(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def axis(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis on which all values lie."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return Axis(low, max(high, low + 1), start, end)


def plot(title: str, across: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """The SVG; `across` names the x axis, the title says what grows upwards."""
    points = [point for line in lines.values() for point in line]
    x = axis([point[0] for point in points], LEFT, WIDTH - RIGHT)
    y = axis([point[1] for point in points], HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(LEFT, 22, title, "start", 'font-size="14"'),
        text((x.start + x.end) / 2, HEIGHT - 10, across),
        *grid(x, y),
    ]
    for number, (name, line) in enumerate(lines.items()):
        parts += drawn(name, [(x.place(a), y.place(b)) for a, b in line], COLOURS[number % len(COLOURS)], number)
    return "\n".join([*parts, "</svg>", ""])


def grid(x: Axis, y: Axis) -> list[str]:
    """A line and a number at each power of ten."""
    upright = [line(x.place(tick), y.start, x.place(tick), y.end) for tick in x.ticks]
    level = [line(x.start, y.place(tick), x.end, y.place(tick)) for tick in y.ticks]
    below = [text(x.place(tick), y.start + 18, f"{tick:,.0f}") for tick in x.ticks]
    beside = [text(x.start - 8, y.place(tick) + 4, f"{tick:,g}", "end") for tick in y.ticks]
    return [*upright, *level, *below, *beside]


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A thin grey one."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def text(x: float, y: float, words: str, anchor: str = "middle", more: str = "") -> str:
    """Words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(words)}</text>'


def drawn(name: str, points: Sequence[Point], colour: str, number: int) -> list[str]:
    """One line with its points, and its name at the right."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    label = text(WIDTH - RIGHT + 12, TOP + 18 * number + 10, name, "start", f'fill="{colour}"')
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots, label]
