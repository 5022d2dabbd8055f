"""An account of the simulated upstream: its connectors, its routing points, its tokens, the part it plays.

Knows nothing of HTTP. Every method takes the world's one lock, so tests may edit while the server answers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from threading import RLock
from typing import Any, Final, NamedTuple

from exporter.simulator.answers import SCENARIOS

Row = Mapping[str, Any]

FLOWS: Final = ("ivr", "chat", "interaction", "crm")
LAST_USE: Final = "2026-01-15 08:30:00"


@dataclass(slots=True)
class Token:
    """One token as the upstream knows it; `id` stands for it wherever people read."""

    id: str
    account: "Account | None"
    used: int = 0
    revoked: bool = False


class Part(NamedTuple):
    """A scenario that an account plays, and its knobs; `times` is how many answers are left of it, None is no end."""

    scenario: str
    times: int | None = None
    seconds: float | None = None
    location: str | None = None


class Account:
    """One customer account. Rows are replaced, never changed: an answer that is being written stays as it was.

    `edits` counts what was done to its rows; each call says how many it had seen, and so which rows it was served.
    """

    def __init__(self, name: str, server: str, limit: int, keyring: dict[str, Token], lock: RLock) -> None:
        self.name = name
        self.server = server
        self.limit = limit
        self.edits = 0
        self._keyring = keyring
        self._lock = lock
        self._connectors: dict[tuple[str, str], Row] = {}
        self._routing_points: dict[str, Row] = {}
        self._tokens: list[Token] = []
        self._elsewhere = 0
        self._parts: dict[str | None, Part] = {}

    def connect(self, channel: str, connector_id: str, *, rp_id: str = "", name: str = "") -> None:
        """Add a connector, or replace the one with that channel and id."""
        row = {"connector_id": connector_id, "rp_id": rp_id, "name": name, "channel": channel}
        with self._lock:
            self._connectors[channel, connector_id] = row
            self.edits += 1

    def disconnect(self, channel: str, connector_id: str) -> Row:
        """Remove a connector; KeyError when there is none. Returns its last row."""
        with self._lock:
            row = self._connectors.pop((channel, connector_id))
            self.edits += 1
            return row

    def rename(self, channel: str, connector_id: str, name: str) -> None:
        """Give a connector another name; KeyError when there is none."""
        self._change(channel, connector_id, name=name)

    def reroute(self, channel: str, connector_id: str, rp_id: str) -> None:
        """Point a connector to another routing point, which need not exist; KeyError when there is no connector."""
        self._change(channel, connector_id, rp_id=rp_id)

    def _change(self, channel: str, connector_id: str, **fields: str) -> None:
        with self._lock:
            self._connectors[channel, connector_id] = {**self._connectors[channel, connector_id], **fields}
            self.edits += 1

    def route(self, rp_id: str, rp_name: str, **flows: str) -> None:
        """Add or replace a routing point; a flow that is not named is "no", a name that is no flow is a TypeError."""
        if unknown := flows.keys() - set(FLOWS):
            raise TypeError(f"{min(unknown)!r} is no flow; flows are {', '.join(FLOWS)}")
        active = {f"{flow}_active": flows.get(flow, "no") for flow in FLOWS}
        with self._lock:
            self._routing_points[rp_id] = {"rp_id": rp_id, "rp_name": rp_name, **active, "last_use": LAST_USE}
            self.edits += 1

    def unroute(self, rp_id: str) -> None:
        """Remove a routing point; KeyError when there is none. Connectors that name it go on naming it."""
        with self._lock:
            del self._routing_points[rp_id]
            self.edits += 1

    def replace_connectors(self, rows: Iterable[Row]) -> None:
        """Take these rows, and only these; KeyError when one lacks its channel or its id."""
        connectors = {(row["channel"], row["connector_id"]): {"rp_id": "", "name": "", **row} for row in rows}
        with self._lock:
            self._connectors = dict(connectors)
            self.edits += 1

    def replace_routing_points(self, rows: Iterable[Row]) -> None:
        """Take these rows, and only these; KeyError when one lacks its rp_id."""
        routing_points = {row["rp_id"]: row for row in rows}
        with self._lock:
            self._routing_points = routing_points
            self.edits += 1

    def connectors(self) -> list[Row]:
        """The connectors, oldest first, as the API would tell them."""
        with self._lock:
            return list(self._connectors.values())

    def routing_points(self) -> list[Row]:
        """The routing points, oldest first, as the API would tell them."""
        with self._lock:
            return list(self._routing_points.values())

    def token_info(self, token: Token) -> list[Row]:
        """What `token` may still do today, in one row of strings; the call that asks is counted already."""
        with self._lock:
            numbers = {
                "token_limit": self.limit,
                "token_use_today": token.used,
                "all_token_today": self.used_today,
                "available_consumption_options": max(0, self.limit - token.used),
            }
        return [{"description": token.id, **{field: str(number) for field, number in numbers.items()}}]

    def add_token(self, text: str) -> Token:
        """Make a token valid, also one that was revoked before; ValueError when another account holds it."""
        with self._lock:
            known = self._keyring.get(text)
            if known is not None and known.account is self:
                known.revoked = False
                return known
            if known is not None and not known.revoked:
                raise ValueError(f"account {self.name}: the token belongs to another account; choose another one")
            token = self._keyring[text] = Token(f"{self.name}#{len(self._tokens)}", self)
            self._tokens.append(token)
            return token

    def revoke(self, text: str) -> None:
        """Refuse a token from now on; KeyError, without the text, when this account never had it."""
        with self._lock:
            token = self._keyring.get(text)
            if token is None or token.account is not self:
                raise KeyError(f"account {self.name} has no such token")
            token.revoked = True

    @property
    def tokens(self) -> int:
        """How many tokens are valid."""
        with self._lock:
            return sum(not token.revoked for token in self._tokens)

    @property
    def used_today(self) -> int:
        """Calls of all tokens since the last new day, and what `spend` added."""
        with self._lock:
            return self._elsewhere + sum(token.used for token in self._tokens)

    def spend(self, calls: int) -> None:
        """Count calls that other programs of the account made: in its total, on none of the known tokens."""
        with self._lock:
            self._elsewhere += calls

    def new_day(self) -> None:
        """Start all daily counters anew."""
        with self._lock:
            self._elsewhere = 0
            for token in self._tokens:
                token.used = 0

    def play(
        self,
        scenario: str | None,
        *,
        api: str | None = None,
        times: int | None = None,
        seconds: float | None = None,
        location: str | None = None,
    ) -> None:
        """Answer by a scenario from now on, on one list or on all, `times` times or until `play(None)`.

        A word for all lists replaces what was said for single ones. `seconds` and `location` are knobs of scenarios
        that wait or redirect.
        """
        if scenario is not None and scenario not in SCENARIOS:
            near = get_close_matches(scenario, SCENARIOS, 1)
            raise ValueError(f"unknown scenario {scenario!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        with self._lock:
            if api is None:
                self._parts.clear()
            self._parts.pop(api, None)
            if scenario is not None:
                self._parts[api] = Part(scenario, times, seconds, location)

    def next_part(self, api: str) -> Part | None:
        """The scenario of the answer that is due now, which uses one of its times up; None is the normal answer."""
        with self._lock:
            key = api if api in self._parts else None
            part = self._parts.get(key)
            if part is None or part.times is None:
                return part
            self._parts[key] = part._replace(times=part.times - 1)
            if part.times <= 1:
                del self._parts[key]
            return part
