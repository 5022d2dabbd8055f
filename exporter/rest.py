"""/api/v1: the state, the journal and the recorded answers as JSON."""

import math
from asyncio import Lock
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter import api
from exporter.access import Access, access_of
from exporter.model import Change
from exporter.site import NOT_YET, Site
from exporter.store import StoreError

MOST: Final = 10_000  # changes that one answer may hold
OPENAPI: Final = Path(__file__).with_name("openapi.json").read_bytes()


class Rest:
    """What is answered to programs."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lists = site.lists
        self._reading = Lock()

    @property
    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/api/v1/changes", self.changes),
            Route("/api/v1/operations", self.operations),
            Route("/api/v1/connectors", self.connectors),
            Route("/api/v1/answers", self.answers),
            Route("/api/v1/openapi.json", self.openapi),
        ]

    async def changes(self, request: Request) -> Response:
        """The journal, newest first; 100 changes unless `limit` says otherwise."""
        try:
            since, limit = seconds(request, "since", 0.0), whole(request, "limit", 100)
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", 400)
        state, operation = self._site.state(), request.query_params.get("operation") or None
        access = access_of(request.scope)
        try:
            told = await run_in_threadpool(self._changes, access, since, operation, limit)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503)
        shown = state is not None and state.names
        return JSONResponse(
            {"changes": [api.change(name, each, self._lists[each.list], names=shown) for name, each in told]}
        )

    async def operations(self, request: Request) -> Response:
        """Each operation and how its lists stand."""
        state = self._site.seen(request)
        return NOT_YET if state is None else JSONResponse({"operations": api.operations(state)})

    async def connectors(self, request: Request) -> Response:
        """The believed rows of every operation, or of one."""
        state = self._site.seen(request)
        if state is None:
            return NOT_YET
        rows = api.rows(state, self._lists["connectors"], request.query_params.get("operation") or None)
        return JSONResponse({"connectors": list(rows)})

    async def answers(self, request: Request) -> Response:
        """What the flight recorder has of one operation, newest first."""
        state, operation = self._site.seen(request), request.query_params.get("operation", "")
        if state is None:
            return NOT_YET
        if fault := api.unknown(state, operation):
            return PlainTextResponse(f"{fault}\n", 400)

        def read() -> Response:
            return JSONResponse({"answers": [api.answer(operation, each) for each in self._site.answers(operation)]})

        try:
            async with self._reading:  # one after the other: they may be large
                return await run_in_threadpool(read)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503)

    async def openapi(self, _: Request) -> Response:
        """What /api/v1 and its neighbours take and give, as OpenAPI 3.1."""
        return Response(OPENAPI, media_type="application/json")

    def _changes(self, access: Access, since: float, operation: str | None, limit: int) -> list[tuple[str, Change]]:
        """The newest changes of the operation, or of all, as far as the visitor sees them."""
        if access.names is None:
            return self._site.changes(since, operation, limit)
        names = access.names & {operation} if operation else access.names
        told = [each for name in names for each in self._site.changes(since, name, limit)]
        return sorted(told, key=lambda each: each[1].at, reverse=True)[:limit]


def said(request: Request, name: str) -> str:
    """A parameter's text, "" where it is absent; ValueError with a sentence where it stands twice."""
    texts = request.query_params.getlist(name)
    if len(texts) > 1:
        raise ValueError(f"{name}: stands in the query {len(texts)} times; once is allowed")
    return texts[0] if texts else ""


def seconds(request: Request, name: str, default: float) -> float:
    """A parameter as Unix seconds; ValueError with a sentence."""
    text = said(request, name)
    try:
        made = float(text) if text else default
    except ValueError:
        made = math.nan
    if not math.isfinite(made):
        raise ValueError(f"{name}: {text!r} is no time in Unix seconds, such as 1790000000")
    return made


def whole(request: Request, name: str, default: int) -> int:
    """A parameter as a whole number from 1 to `MOST`; ValueError with a sentence."""
    text = said(request, name) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST or len(text) > len(str(MOST)):
        raise ValueError(f"{name}: {text!r} is no whole number from 1 to {MOST}")
    return int(text)
