"""The record of calls, and whether each of them kept the upstream's limits. Pure: times are arguments."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

DEMANDED_SECONDS: Final = 300.0
REFUSALS: Final = frozenset({400, 401, 403, 429})


class Call(NamedTuple):
    """One call; `ended` is None while it is under way, `status` is None where no HTTP status was sent.

    `token_id` stands for the token ("acme#0"), "none" for a call without one. `edits` is how many edits of its rows the
    account had seen.
    """

    account: str | None
    token_id: str
    api: str
    started: float
    ended: float | None = None
    status: int | None = None
    scenario: str | None = None
    early: bool = False
    overlapping: bool = False
    edits: int = 0


class Report(NamedTuple):
    """How many calls there were, and how many broke a limit or were refused."""

    calls: int
    early: int
    overlapping: int
    refused: int

    def __str__(self) -> str:
        verdict = "broken" if self.early or self.overlapping else "kept"
        return (
            f"{self.calls} calls, {self.refused} refused: the limits were {verdict}\n"
            f"  early        {self.early} (sooner than the interval after the end of the previous one)\n"
            f"  overlapping  {self.overlapping} (while another call of the token was under way)"
        )


class Judge:
    """Counts no call twice and forgets none; its owner brings the lock."""

    def __init__(self, interval: float | Mapping[str, float]) -> None:
        self.calls: list[Call] = []
        self._interval = interval
        self._under_way: Counter[str] = Counter()
        self._open: Counter[tuple[str, str]] = Counter()
        self._ended: dict[tuple[str, str], float] = {}

    def demanded(self, api: str) -> float:
        """Seconds from the end of a call of this list to the start of the next one, per token."""
        if isinstance(self._interval, Mapping):
            return self._interval.get(api, DEMANDED_SECONDS)
        return self._interval

    def under_way(self, token_id: str) -> int:
        """How many calls of a token have begun and not ended."""
        return self._under_way[token_id]

    def begin(self, call: Call, *, judged: bool) -> int:
        """Write a call down, with its verdicts when it is `judged`; returns its place among the calls.

        A call without a token breaks nobody's limit, a call outside the API no list's: these are not judged.
        """
        overlapping = judged and self.under_way(call.token_id) > 0
        call = call._replace(early=judged and self._is_early(call), overlapping=overlapping)
        self.calls.append(call)
        self._under_way[call.token_id] += 1
        self._open[call.token_id, call.api] += 1
        return len(self.calls) - 1

    def _is_early(self, call: Call) -> bool:
        key = call.token_id, call.api
        # A sum, not a difference: a caller that adds the interval to the very same end must not fail by rounding.
        return self._open[key] > 0 or (key in self._ended and call.started < self._ended[key] + self.demanded(call.api))

    def end(self, place: int, status: int | None, at: float) -> None:
        """Write down that a call's answer is complete, or given up."""
        call = self.calls[place]
        self.calls[place] = call._replace(ended=at, status=status)
        self._under_way[call.token_id] -= 1
        self._open[call.token_id, call.api] -= 1
        self._ended[call.token_id, call.api] = at

    def report(self) -> Report:
        """The sums of what was written down so far."""
        return Report(
            calls=len(self.calls),
            early=sum(call.early for call in self.calls),
            overlapping=sum(call.overlapping for call in self.calls),
            refused=sum(call.status in REFUSALS for call in self.calls),
        )
