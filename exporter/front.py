"""The front of the site: every request passes the doorman, every answer carries the configured headers."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.access import Access
from exporter.doorman import Doorman, RawHeaders, Refusal
from exporter.passwords import Login
from exporter.protocol import Ready

MOST_WAITING: Final = 32  # passwords to be worked out; bcrypt takes tenths of a second for each, one after the other
BUSY: Final = Refusal(503, "too many passwords are being checked; try again later\n", ((b"retry-after", b"5"),))


class Site(Protocol):
    """An ASGI application that has some answers at once."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        """One request."""

    def at_once(self, scope: Scope) -> Ready | None:
        """The answer to it, if there is one without waiting."""


class Front:
    """The site behind its door."""

    def __init__(self, site: Site, door: Callable[[], Doorman], monotonic: Callable[[], float]) -> None:
        self._site = site
        self._door = door
        self._monotonic = monotonic
        self._workers = ThreadPoolExecutor(1, "bcrypt")
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        doorman = self._door()
        decision = doorman.decide(scope, self._monotonic())
        if isinstance(decision, Login):
            decision = await self._worked_out(doorman, decision, scope)
        dressed = dressing(send, doorman.headers)
        if isinstance(decision, Refusal):
            await refused(decision)(scope, receive, dressed)
            return
        let_in(scope, decision)
        await self._site(scope, receive, dressed)

    def at_once(self, scope: Scope) -> Ready | None:
        """The site's answer without waiting, to those who are let in without waiting."""
        doorman = self._door()
        decision = doorman.decide(scope, self._monotonic())
        if not isinstance(decision, Access):
            return None
        let_in(scope, decision)
        ready = self._site.at_once(scope)
        if ready is None or not doorman.headers:
            return ready
        return ready._replace(head=ready.head + b"".join([b"%s: %s\r\n" % pair for pair in doorman.headers]))

    async def _worked_out(self, doorman: Doorman, login: Login, scope: Scope) -> Access | Refusal:
        if self._waiting >= MOST_WAITING:
            return BUSY
        self._waiting += 1
        doorman.suspect(scope, self._monotonic())
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, doorman.work_out, login, scope)
        finally:
            self._waiting -= 1


def let_in(scope: Scope, access: Access) -> None:
    """Notes what the request may see."""
    scope.setdefault("state", {})["access"] = access


def refused(refusal: Refusal) -> ASGIApp:
    """The answer to who stays outside."""
    headers = {name.decode(): value.decode() for name, value in refusal.headers}
    return PlainTextResponse(refusal.text, refusal.status, headers)


def dressing(send: Send, headers: RawHeaders) -> Send:
    """A way to send that puts the headers on each answer, in place of those of the same name."""
    names = {name for name, _ in headers}

    async def dressed(message: Message) -> None:
        if headers and message["type"] == "http.response.start":
            own = [pair for pair in message["headers"] if pair[0].lower() not in names]
            message = {**message, "headers": [*own, *headers]}
        await send(message)

    return dressed
