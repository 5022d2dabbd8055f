"""What may be asked for by POST: a reload, and a poll. No page of another site may ask, and nobody for others.

A poll is asked for, not made: when it is made is decided by the ledger alone.
"""

from collections.abc import Callable, Mapping
from email.utils import formatdate
from math import ceil, inf
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter import api
from exporter.access import access_of
from exporter.state import Asked, Rule, State

PORTS: Final = {"http": 80, "https": 443}
LIST: Final = "connectors"  # what is polled where no list is named
AGAIN: Final = 5  # seconds after which a storage that failed is tried again
# Why a poll is not even asked for: the status and the end of the sentence.
REFUSALS: Final[Mapping[Rule, tuple[int, str]]] = {
    Rule.RESERVE: (409, "only the reserve of the day's calls is left (budget.reserve); polling goes on by itself"),
    Rule.STORAGE: (503, "the storage is not ready, or cannot be written at the moment; try again later"),
}


class Steering:
    """The POSTs; `reload` and `poll` are None where the life cycle may not be steered over HTTP."""

    def __init__(
        self,
        state: Callable[[], State | None],
        reload: Callable[[], str] | None,
        poll: Callable[[str, str], Asked] | None,
        external_url: str,
    ) -> None:
        self._state = state
        self._reload = reload
        self._poll = poll
        self._external_url = external_url

    @property
    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/-/reload", self.reload, methods=["POST"]),
            Route("/-/poll", self.poll, methods=["POST"]),
        ]

    async def reload(self, request: Request) -> Response:
        """Reads the configuration again; a bad one leaves the running one in place."""
        self._admit(request)
        if self._reload is None:
            raise HTTPException(403, "start with --web.enable-lifecycle to allow a reload over HTTP\n")
        if access_of(request.scope).is_bound:
            raise HTTPException(403, "a reload is for those who see all operations\n")
        faults = await run_in_threadpool(self._reload)
        if faults:
            return PlainTextResponse(f"the running configuration stays:\n{faults}\n", 500)
        return PlainTextResponse("the configuration was reloaded\n")

    async def poll(self, request: Request) -> Response:
        """Asks for a poll of one list of one operation at its next legal second."""
        self._admit(request)
        if self._poll is None:
            raise HTTPException(403, "start with --web.enable-lifecycle to allow a poll over HTTP\n")
        operation, name = self._chosen(request)
        asked = await run_in_threadpool(self._poll, operation, name)
        return answered(f"{name} of {operation}", asked)

    def _admit(self, request: Request) -> None:
        if is_foreign(request, self._external_url):
            raise HTTPException(403, "the request comes from a page of another site\n")

    def _chosen(self, request: Request) -> tuple[str, str]:
        """The operation and the list that are asked for."""
        state = self._state()
        if state is None:
            raise HTTPException(503, "the first page is not rendered yet\n")
        seen = access_of(request.scope).part(state)
        operation = request.query_params.get("operation", "")
        if fault := api.unknown(seen, operation):
            raise HTTPException(400, f"{fault}\n")
        name = request.query_params.get("list", LIST)
        polled = next(each.intervals for each in seen.operations if each.operation.name == operation)
        if name not in polled:
            raise HTTPException(400, f"unknown list {name!r}: polled are {', '.join(polled)}\n")
        return operation, name


def answered(what: str, asked: Asked) -> Response:
    """The answer to who asked for a poll."""
    if asked.seconds == inf:
        status, why = REFUSALS[asked.rule]
        headers = {"Retry-After": str(AGAIN)} if asked.rule is Rule.STORAGE else {}
        return PlainTextResponse(f"no poll of {what} was asked for: {why}\n", status, headers)
    seconds = ceil(asked.seconds)
    return PlainTextResponse(f"{what}: {told(asked, seconds)}\n", 202, {"Retry-After": str(seconds)})


def told(asked: Asked, seconds: int) -> str:
    """When the poll is made, and what it waits for."""
    if seconds:
        return f"polled in {seconds} s, {formatdate(asked.at, usegmt=True)}; until then binds the rule {asked.rule}"
    return "being polled already" if asked.rule is Rule.BUSY else "polled at once"


def is_foreign(request: Request, external_url: str) -> bool:
    """True where a browser says that another site's page sent the request; other programs say nothing."""
    headers = request.headers
    if headers.get("sec-fetch-site", "").lower() == "cross-site":
        return True
    return any(not is_home(origin, headers.get("host", ""), external_url) for origin in headers.getlist("origin"))


def is_home(origin: str, host: str, external_url: str) -> bool:
    """True where the origin is the request's own host or the external URL's, ports included."""
    place = place_of(origin)
    own = place_of(f"{origin.partition(':')[0]}://{host}")
    return place is not None and place in (own, place_of(external_url))


def place_of(url: str) -> tuple[str, int | None] | None:
    """Host and port of a URL; None where there is no host in it."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:  # a bracket that does not close, or a port that is no number
        return None
    return None if parts.hostname is None else (parts.hostname, port)
