"""Times as pages tell them: to the second in UTC, and as seen from now. Pure."""

from typing import Final, NamedTuple

from exporter.model import DAY, HOUR, MINUTE

EPOCH: Final = 719_468  # days from 0000-03-01, where a year may begin so that its leap day comes last, to 1970-01-01
ERA: Final = 146_097  # days of 400 years, after which the calendar repeats itself
LADDER: Final = ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"))


class When(NamedTuple):
    """One time: `iso` for machines, `exact` for people, `relative` to now in words; in a page it stands as the last."""

    iso: str
    exact: str
    relative: str

    def __html__(self) -> str:
        """The words as a time that machines read too; nothing of it is somebody else's text."""
        return f'<time datetime="{self.iso}" title="{self.exact}">{self.relative}</time>'


def when(at: float, now: float) -> When:
    """A time of Unix seconds as seen at `now`."""
    days, left = divmod(int(at), int(DAY))
    day, clock = date(days), f"{left // 3600:02}:{left // 60 % 60:02}:{left % 60:02}"
    return When(f"{day}T{clock}Z", f"{day} {clock} UTC", relative(at, now))


def maybe(at: float | None, now: float) -> When | None:
    """The same, None of None."""
    return None if at is None else when(at, now)


def due(at: float | None, now: float) -> When | None:
    """When something comes: what is overdue comes now, None stays None."""
    return None if at is None else when(max(at, now), now)


def relative(at: float, now: float) -> str:
    """How long ago or from now, in words."""
    left = round(at - now)
    if left == 0:
        return "now"
    return f"in {span(left)}" if left > 0 else f"{span(-left)} ago"


def span(seconds: float) -> str:
    """A duration in words, at most two of them: "12 s", "3 min", "1 h 20 min", "2 d 5 h"."""
    whole = round(seconds)
    for size, unit, less, small in LADDER:
        if whole >= size:
            rest = whole % size // less
            return f"{whole // size:.0f} {unit}" + (f" {rest:.0f} {small}" if rest else "")
    return f"{whole // 60} min" if whole >= MINUTE else f"{whole} s"


def date(days: int) -> str:
    """The day so many days after 1970-01-01, as Gregory's calendar writes it."""
    era, of_era = divmod(days + EPOCH, ERA)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // (ERA - 1)) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153  # of a year that begins in March
    day = of_year - (153 * month + 2) // 5 + 1
    is_next = month > 9  # noqa: PLR2004 - January and February belong to the next year
    return f"{400 * era + year + is_next:04}-{month + 3 - 12 * is_next:02}-{day:02}"
