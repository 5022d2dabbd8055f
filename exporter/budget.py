"""May a call be made? Pure: past calls, a rest and a moment give the seconds until one more is legal.

The law: a list is asked again `interval` after the last answer ended, one call at a time per token. An answer that was
not read whole has ended once its server can no longer be at work on it.
"""

from typing import Final, NamedTuple

from exporter.model import HOUR, Moment
from exporter.schedule import Rest
from exporter.state import Rule

LEAST: Final = 300.0  # seconds that the API asks for between two calls of one list
BUSY: Final = 60.0  # seconds that the API may work on one call
GLANCE: Final = 1.0  # seconds until a call that is under way is looked at again


class Call(NamedTuple):
    """One call as it was written down.

    `finished` is None until its end was written; `whole` says that its answer was read to the end. `busy` is how
    many seconds after the claim the server may be at work; `live` says that its owner still runs.
    """

    claimed: Moment
    finished: Moment | None
    whole: bool
    busy: float
    live: bool = False


class Past(NamedTuple):
    """What the ledger holds against one more call.

    `same` are calls of this list by this operation or token, `open` calls of the token or of the list that are
    perhaps still under way, `rests` the rests of the token and of the list.
    """

    same: tuple[Call, ...] = ()
    open: tuple[Call, ...] = ()
    rests: tuple[Rest, ...] = ()


class Wait(NamedTuple):
    """Seconds until a call is legal (0: now) and the rule that binds longest."""

    seconds: float
    rule: Rule


def elapsed(then: Moment, now: Moment) -> float:
    """Seconds since `then`, never below 0.

    Within one boot the clock that nobody sets decides. Across a reboot only wall time is left, and a time in the
    future counts as now: a clock that was set back must not make a call early.
    """
    passed = now.uptime - then.uptime if now.boot == then.boot else now.wall - then.wall
    return max(0.0, passed)


def later(moment: Moment, seconds: float) -> Moment:
    """The moment `seconds` after; in the same boot."""
    return Moment(moment.wall + seconds, moment.boot, moment.uptime + seconds)


def wait(past: Past, interval: float, now: Moment, *, essential: bool = True) -> Wait:
    """The longest of all waits; `interval` is what this list must keep, `essential` says that it may end a rest."""
    waits = [Wait(0.0, Rule.INTERVAL)]
    waits += [Wait(interval + unended(call, now), Rule.INTERVAL) for call in past.same if call.finished]
    waits += [Wait(busy(call, now), Rule.BUSY) for call in past.open]
    waits += [Wait(resting(rest, now, essential=essential), Rule.REST) for rest in past.rests]
    return max(waits, key=lambda each: each.seconds)


def unended(call: Call, now: Moment) -> float:
    """Seconds until the answer has ended, negative once it has; where it was not read whole, the server decides."""
    left = -elapsed(call.finished or call.claimed, now)
    return left if call.whole else max(left, call.busy - elapsed(call.claimed, now))


def busy(call: Call, now: Moment) -> float:
    """Seconds for which the server may be at work on the call; a live one is looked at again and again."""
    if call.whole:
        return 0.0
    left = call.busy - elapsed(call.claimed, now)
    return max(left, GLANCE) if call.live and call.finished is None else max(left, 0.0)


def resting(rest: Rest, now: Moment, *, essential: bool) -> float:
    """Seconds for which the rest still holds; a list that may not make the trial waits a while beyond it."""
    left = max(0.0, rest.seconds - elapsed(rest.since, now))
    return left + BUSY if rest.is_locked and not essential else left


def interrupted(call: Call, now: Moment) -> Moment:
    """When a call whose owner died is taken to have ended: as late as its server may have worked, not after now."""
    return later(call.claimed, min(call.busy, elapsed(call.claimed, now)))


def is_reserved(left: float | None, spent: int, reserve: int) -> bool:
    """True when only the reserve is left of today's calls; never without a readable limit or without a reserve."""
    return left is not None and reserve > 0 and left - spent <= reserve


def glimpse(interval: float) -> float:
    """Seconds between two looks at the token's figures while only the reserve is left."""
    return max(HOUR, interval)
