"""When a list is polled next, and how long a token or a list rests after an outcome. Pure: a table and numbers."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from exporter.model import DAY, HOUR, Moment, Outcome

LONGEST_ASKED: Final = DAY  # a Retry-After beyond it is cut
SPREAD: Final = 0.5  # of an interval: how far apart first polls are drawn
LATE: Final = 0.5  # of an interval: a poll that late is overdue, not just delayed


class Rest(NamedTuple):
    """A pause that an answer imposed on a token, or on one list of it.

    `strikes` counts such answers in a row; `since` and `seconds` say when the pause ends. A rest of 0 seconds only
    remembers the strike. `is_locked`: after the pause only the essential list makes the trial.
    """

    reason: Outcome
    strikes: int
    since: Moment
    seconds: float
    is_locked: bool = False


class Facts(NamedTuple):
    """What the length of a rest depends on, in seconds; `strikes` counts answers like this one in a row, from 1."""

    interval: float
    strikes: int
    asked: float  # Retry-After, 0 without one


def rejected(facts: Facts) -> float:
    """A first refusal may be a mistake of the moment; from the second in a row one trial an hour is enough."""
    return 0.0 if facts.strikes == 1 else max(HOUR, facts.interval)


def exhausted(facts: Facts) -> float:
    """Doubling from one interval to an hour: nobody says when the day's count restarts."""
    return max(facts.interval, min(facts.interval * 2.0 ** min(facts.strikes - 1, 16), HOUR))


def throttled(facts: Facts) -> float:
    """What the answer asked for, and two intervals at the least."""
    return max(min(facts.asked, LONGEST_ASKED), 2 * facts.interval)


def day(_: Facts) -> float:
    """A list that the API does not know will not come back within hours."""
    return DAY


TOKEN_RESTS: Final[Mapping[Outcome, Callable[[Facts], float]]] = {
    Outcome.TOKEN_REJECTED: rejected,
    Outcome.QUOTA_EXHAUSTED: exhausted,
    Outcome.THROTTLED: throttled,
}
LIST_RESTS: Final[Mapping[Outcome, Callable[[Facts], float]]] = {Outcome.UNKNOWN_LIST: day}
LASTING: Final = frozenset({Outcome.TOKEN_REJECTED, Outcome.QUOTA_EXHAUSTED})


def token_rest(rest: Rest | None, outcome: Outcome, interval: float, asked: float | None, now: Moment) -> Rest | None:
    """The token's rest after this outcome; None when it may go on.

    A success ends any rest. A failure that says nothing of the token neither confirms nor ends a lasting one: its
    pause begins anew, and a Retry-After may make it longer.
    """
    if not outcome.is_failure:
        return None
    lasting = rest if rest and rest.reason in LASTING else None
    if outcome not in TOKEN_RESTS:
        return lasting and lasting._replace(since=now)
    strikes = rest.strikes + 1 if rest and rest.reason is outcome else 1
    seconds = TOKEN_RESTS[outcome](Facts(interval, strikes, asked or 0.0))
    if lasting and outcome not in LASTING:
        return lasting._replace(since=now, seconds=max(lasting.seconds, seconds))
    return Rest(outcome, strikes, now, seconds, is_locked=outcome is Outcome.TOKEN_REJECTED and strikes > 1)


def list_rest(outcome: Outcome, interval: float, now: Moment, *, essential: bool) -> Rest | None:
    """The list's own rest after this outcome; an essential list keeps its interval."""
    if essential or outcome not in LIST_RESTS:
        return None
    return Rest(outcome, 1, now, LIST_RESTS[outcome](Facts(interval, 1, 0.0)))


def pace(name: str, interval: float, late: float | None) -> float:
    """The factor on the interval until the next poll: 1, or up to 1.5 after a first or an overdue poll.

    `late` is how many seconds after its time the poll was made, None for a first one. The same name draws the same
    factor, so that many operations spread out and stay spread.
    """
    return 1.0 if late is not None and late <= LATE * interval else 1.0 + phase(name)


def phase(name: str) -> float:
    """A number in [0, 0.5) drawn from the name."""
    return int.from_bytes(sha256(name.encode()).digest()[:4]) / 2**32 * SPREAD
