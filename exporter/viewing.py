"""The status pages over HTTP: drawn beside the loop, one at a time, from memory, the journal and recorded answers."""

import gzip
from asyncio import Lock
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from exporter import pages
from exporter.access import Access, access_of
from exporter.negotiation import accepts_gzip
from exporter.pages import Frame, Records
from exporter.site import NOT_YET, Site
from exporter.store import StoreError

# `same-origin` and not `no-referrer`: with that, a browser sends the form that asks for a poll with `Origin: null`.
SAFE: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
JOURNAL: Final = 100  # changes that an operation's page shows
QUICKLY: Final = 1  # a tenth of the page's bytes for a few milliseconds; more effort saves little


class Viewing:
    """What is answered to people."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lists = site.lists
        self._drawing = Lock()

    @property
    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("/", self.overview), Route("/operations/{name}", self.operation)]

    async def overview(self, request: Request) -> Response:
        """The status page of all operations that the visitor sees; `q` and `show` say which are looked for."""
        state, access = self._site.state(), access_of(request.scope)
        if state is None:
            return NOT_YET
        asked, frame = request.query_params, self._frame(access)
        seen = access.part(state)
        if access.is_bound:  # the storage is no concern of who sees a part
            seen = replace(seen, storage_healthy=True)
        return await self._drawn(
            request, lambda: pages.overview(seen, frame, asked.get("q", ""), asked.get("show", ""))
        )

    async def operation(self, request: Request) -> Response:
        """The status page of one operation; `q` is looked for in its connectors."""
        state, access = self._site.state(), access_of(request.scope)
        if state is None:
            return NOT_YET
        name, query, frame = request.path_params["name"], request.query_params.get("q", ""), self._frame(access)
        found = next((each for each in access.part(state).operations if each.operation.name == name), None)
        if found is None:
            return await self._drawn(request, lambda: pages.missing(frame), 404)
        return await self._drawn(
            request, lambda: pages.operation(found, self._records(name), frame, self._lists, query)
        )

    def _frame(self, access: Access) -> Frame:
        site = self._site
        version = "" if access.is_bound else site.version
        return Frame(site.now(), version, site.telemetry_path.lstrip("/"), site.reload is not None)

    def _records(self, name: str) -> Records:
        """What the storage has of the operation."""
        try:
            told = self._site.changes(0.0, name, JOURNAL)
            return Records(tuple(change for _, change in told), tuple(self._site.answers(name)))
        except StoreError as error:
            return Records(fault=str(error))

    async def _drawn(self, request: Request, draw: Callable[[], str], status: int = 200) -> Response:
        """A page drawn beside the loop, one at a time: many that are asked for at once take turns, not memory."""
        compress = accepts_gzip(request.headers.get("accept-encoding", ""))
        async with self._drawing:
            body = await run_in_threadpool(lambda: encoded(draw(), compress=compress))
            policy = pages.policy()
        coding = {"Content-Encoding": "gzip"} if compress else {}
        return HTMLResponse(body, status, {**SAFE, "Content-Security-Policy": policy, **coding})


def encoded(text: str, *, compress: bool) -> bytes:
    """The bytes of a status page."""
    return gzip.compress(text.encode(), QUICKLY, mtime=0) if compress else text.encode()
