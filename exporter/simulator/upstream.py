"""The API itself: which answer a request gets, and what is written down about it.

Knows no socket. `receive` opens a call, `finish` ends it: between the two it is under way, client or no client.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from exporter.simulator import replies
from exporter.simulator.account import Account, Part, Token
from exporter.simulator.answers import SCENARIOS
from exporter.simulator.judge import Call, Judge
from exporter.simulator.replies import Ask, Reply
from exporter.simulator.request import Request
from exporter.simulator.wire import Wire, whole
from exporter.simulator.world import LISTS, World

PATH: Final = re.compile(r"(?:/wv(?P<server>\d{4}))?/api/v2/information\.php")
SIMULTANEOUS_LIMIT: Final = 2


class Case(NamedTuple):
    """What the rules look at; `under_way` counts this call too, the quota has counted it already."""

    request: Request
    token: Token | None
    under_way: int

    @property
    def account(self) -> Account | None:
        """Whose token it is, valid on this server or not."""
        return self.token.account if self.token else None

    @property
    def api(self) -> str:
        """The list asked for; "" outside the API and without the parameter."""
        return self.request.query.get("api", "") if self.is_api else ""

    @property
    def is_api(self) -> bool:
        """The path is the API's."""
        return PATH.fullmatch(self.request.path) is not None

    @property
    def is_welcome(self) -> bool:
        """The token is valid on the server that the path names, if it names one."""
        match = PATH.fullmatch(self.request.path)
        server = match and match["server"]
        return self.account is not None and not self.is_revoked and server in (None, self.account.server)

    @property
    def is_revoked(self) -> bool:
        """The token was valid once, or never."""
        return self.token is None or self.token.revoked

    @property
    def is_over(self) -> bool:
        """The stricter of both readings: the token's use or the account's total is past the limit."""
        account, token = self.account, self.token
        return account is not None and token is not None and max(token.used, account.used_today) > account.limit


Rule = tuple[Callable[[Case], bool], Reply]

# The first rule that holds answers. The door comes before the account's scenario, the house after it.
DOOR: Final[tuple[Rule, ...]] = (
    (lambda case: case.request.method != "GET", replies.NOT_ALLOWED),
    (lambda case: not case.is_api, replies.NOT_FOUND),
    (lambda case: case.token is None, replies.NO_TOKEN),
    (lambda case: not case.is_welcome, replies.VALIDATE_TOKEN),
)
HOUSE: Final[tuple[Rule, ...]] = (
    (lambda case: case.under_way > SIMULTANEOUS_LIMIT, replies.SIMULTANEOUS),
    (lambda case: case.is_over, replies.QUOTA),
    (lambda case: not case.api, replies.PARAMETERS_REQUIRED),
    (lambda case: case.api not in LISTS, replies.UNKNOWN_API),
)


def refused(case: Case, rules: tuple[Rule, ...]) -> Reply | None:
    """The answer of the first rule that holds; None when none does."""
    return next((reply for holds, reply in rules if holds(case)), None)


class Upstream:
    """Receives requests for a world of accounts, and has each of them judged."""

    def __init__(self, world: World, judge: Judge, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self._world = world
        self._judge = judge
        self._now = now
        self._wall = wall

    def receive(self, request: Request, port: int) -> tuple[int, Wire]:
        """The place of the call among the calls, and its answer."""
        with self._world.lock:
            case = self._case(request)
            reply = refused(case, DOOR)
            part = case.account.next_part(case.api) if case.account and not reply else None
            place = self._judge.begin(self._call(case, part), judged=case.token is not None and case.is_api)
            if reply is not None:
                return place, whole(reply)
            ask = self._ask(case, part)._replace(port=port)
        # Encoding 60,000 rows takes its time; nobody else has to wait for it.
        return place, SCENARIOS[part.scenario].answer(ask) if part else whole(ask.normal)

    def finish(self, place: int, status: int | None) -> None:
        """The last byte is about to leave, or the client is known to be gone."""
        with self._world.lock:
            self._judge.end(place, status, self._now())

    def _case(self, request: Request) -> Case:
        token = self._world.token(request.headers.get("wolkvox-token", ""))
        if token is None:
            return Case(request, None, 1)
        token.used += not token.revoked
        return Case(request, token, self._judge.under_way(token.id) + 1)

    def _call(self, case: Case, part: Part | None) -> Call:
        return Call(
            account=case.account.name if case.account else None,
            token_id=case.token.id if case.token else "none",
            api=case.api,
            started=self._now(),
            scenario=part.scenario if part else None,
            edits=case.account.edits if case.account else 0,
        )

    def _ask(self, case: Case, part: Part | None) -> Ask:
        knobs = (part.seconds, part.location) if part else (None, None)
        read = LISTS.get(case.api)
        rows = read(case.account, case.token) if read and case.account and case.token else []
        return Ask(case.api, rows, refused(case, HOUSE), *knobs, target=case.request.target, wall=self._wall())
