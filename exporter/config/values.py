"""One value of the configuration -> what the program works with, or Refused with what is allowed.

Knows no file, no line and no other key. A refusal is the end of a sentence that begins with what was found.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

from exporter import durations

LONGEST_LABEL: Final = 200
RESERVED_LABELS: Final = ("operation", "server", "job", "instance")

# Every number here ends as a float of Prometheus, as a row count or as a wait: a billion is more than any of them.
HIGHEST: Final = 1_000_000_000

_BYTES: Final = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE: Final = re.compile(r"([0-9]{1,9})(KiB|MiB|GiB)")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")
_SERVER: Final = re.compile(r"(?:wv)?([0-9]{4})", re.IGNORECASE)
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Refused(ValueError):  # noqa: N818 - it says what the value is
    """The end of a sentence that begins with what was found."""


class Unquoted(Refused):
    """A text that YAML reads as `value`, since it stands there without quotes; at least `width` digits belong in it."""

    def __init__(self, value: float | bool, width: int = 0) -> None:  # noqa: FBT001 - it is the value, not a switch
        super().__init__("stands without quotes")
        self.value = value
        self.width = width


def text(value: Any) -> str:
    """Text as it is, for values whose content is judged elsewhere."""
    return _text(value, "text")


def name(value: Any) -> str:
    """An operation's name."""
    if not _NAME.fullmatch(_text(value, "a name")):
        raise Refused("is not a name; letters, digits, dot, _ and - are allowed, 63 at most")
    return str(value)


def server(value: Any) -> str:
    """The four digits of a server, without wv."""
    match = _SERVER.fullmatch(_text(value, "a server", width=4))
    if match is None:
        raise Refused('is not a server; four digits are allowed, as in "0010" or "wv0010"')
    return match[1]


def label_name(value: Any) -> str:
    """A Prometheus label's name that means nothing to us or to Prometheus yet."""
    if not _LABEL.fullmatch(value):
        raise Refused("is not a label name; letters, digits and _ are allowed, a digit not at the start")
    if value in RESERVED_LABELS or value.startswith("__"):
        raise Refused(f"is taken; {', '.join(RESERVED_LABELS)} and __* are not allowed")
    return str(value)


def label_value(value: Any) -> str:
    """A label's text."""
    if len(_text(value, "text")) > LONGEST_LABEL:
        raise Refused(f"is longer than {LONGEST_LABEL} characters, which is allowed at most")
    return str(value)


def channel(value: Any) -> str:
    """A channel's name as the API writes it; which ones there are, nobody says."""
    if not value.strip() or len(value) > LONGEST_LABEL:
        raise Refused(f"is not a channel; a name such as whatsapp is allowed, {LONGEST_LABEL} characters at most")
    return str(value.strip())


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Refused("is not allowed; true and false are")
    return value


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Whole numbers from `low` to `high`."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Refused(f"is not allowed; a whole number from {low} to {high} is")
        return value

    return check


def share(value: Any) -> float:
    """A number above 0, up to 1."""
    if type(value) not in (int, float) or not 0 < value <= 1:
        raise Refused("is not allowed; a number above 0, at most 1, is")
    return float(value)


def size(value: Any) -> int:
    """Bytes, from a whole number or a text such as 16MiB."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    amount = int(match[1]) * _BYTES[match[2]] if match else value
    if type(amount) is not int:
        raise Refused("is not a size; bytes are allowed, or a text such as 500KiB or 16MiB")
    if not 1 <= amount <= 256 * _BYTES["MiB"]:
        raise Refused("is not allowed; a size from 1 byte to 256MiB is, which is the API's own limit")
    return amount


def duration(value: Any) -> float:
    """Seconds, from a number or a text such as 1h30m."""
    seconds = durations.parsed(value) if isinstance(value, str) else value
    if type(seconds) is int:
        seconds = float(max(-1, min(seconds, HIGHEST)))  # a float has no room for every whole number
    if type(seconds) is not float or not 0 <= seconds < math.inf:
        raise Refused("is not a duration; seconds are allowed, or units in falling order as in 500ms, 90s, 5m, 1h30m")
    return seconds


def span(low: str, high: str) -> Callable[[Any], float]:
    """Durations from `low` to `high`, both as a person writes them."""
    least, most = duration(low), duration(high)

    def check(value: Any) -> float:
        seconds = duration(value)
        if not least <= seconds <= most:
            raise Refused(f"is not allowed; a duration from {low} to {high} is")
        return seconds

    return check


def _text(value: Any, wanted: str, width: int = 0) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        raise Unquoted(value, width)
    raise Refused(f"is not {wanted}")
