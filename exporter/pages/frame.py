"""What every page has around its subject, and how texts are made fit to be shown. Pure."""

from typing import Final, NamedTuple

from exporter.tables import clipped

LONGEST: Final = 200  # signs of a name, as in a label
LINES: Final = frozenset("\n\t")


class Frame(NamedTuple):
    """What each page tells beside its subject.

    `now` is Unix seconds; `version` is "" for who may not know it; `metrics` is the path of the metrics without its
    first slash; `can_poll` says whether a visitor may ask for a poll.
    """

    now: float
    version: str = ""
    metrics: str = "metrics"
    can_poll: bool = False


def shown(text: str, most: int = LONGEST) -> str:
    """One line of somebody else's text: cut, without control characters, also those that turn the writing."""
    return text if len(text) <= most and text.isprintable() else clipped(text, most)


def lines(text: str) -> str:
    """Somebody else's text with its lines, without other control characters."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in LINES else "\N{REPLACEMENT CHARACTER}" for sign in text)


def counted(number: int, thing: str) -> str:
    """The number with its noun: "1 connector", "3 connectors"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
