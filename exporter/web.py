"""The ASGI application: /metrics, /probe, /sd, /api, health, reload and the status pages.

It answers from memory, but for the journal and the recorded answers, which are read from the storage.
"""

import gzip
import math
import re
from asyncio import Lock
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from exporter import api, pages
from exporter.access import Access, access_of
from exporter.encoding import Format
from exporter.model import Change
from exporter.negotiation import Offer, accepts_gzip, preferred
from exporter.page import Page
from exporter.pages import Frame, Records
from exporter.pieces import Stream
from exporter.protocol import Ready
from exporter.spec import UpstreamList
from exporter.state import Asked, Recorded, State
from exporter.steering import Steering
from exporter.store import StoreError

OFFERS: Final = {
    Offer("text/plain", "0.0.4"): Format.TEXT,
    Offer("text/plain", "1.0.0"): Format.TEXT_1,
    Offer("application/openmetrics-text", "1.0.0"): Format.OPENMETRICS,
}
# `same-origin` and not `no-referrer`: with that, a browser sends the form that asks for a poll with `Origin: null`.
SAFE: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
RawHeaders = list[tuple[bytes, bytes]]
CODING: Final = {True: [(b"content-encoding", b"gzip")], False: []}
HEADERS: Final[Mapping[tuple[Format, bool], RawHeaders]] = {
    (form, compress): [
        (b"content-type", form.value.encode()),
        (b"vary", b"Accept, Accept-Encoding"),
        *CODING[compress],
    ]
    for form in Format
    for compress in (True, False)
}
HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
MOST: Final = 10_000  # changes that one answer may hold
JOURNAL: Final = 100  # changes that an operation's page shows
QUICKLY: Final = 1  # a tenth of the page's bytes for a few milliseconds; more effort saves little
DEFAULT: Final = Offer("text/plain", "0.0.4")
NOT_YET: Final = PlainTextResponse("the first page is not rendered yet\n", 503)


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages need of the rest: each is a question that is answered at once.

    `page` is the newest one, None before the first, and so is `state`; `changes` reads the journal by time, operation
    and number, newest first, StoreError; `now` is Unix seconds; `answers` what the flight recorder has of an operation,
    newest first, as it may be shown, StoreError. `reload` reads the configuration again and gives the faults as text,
    "" for none; `poll` asks for a poll of one list of one operation; both are None where the life cycle may not be
    steered over HTTP.
    """

    page: Callable[[], Page | None]
    state: Callable[[], State | None]
    changes: Callable[[float, str | None, int], list[tuple[str, Change]]]
    is_alive: Callable[[], bool]
    version: str
    lists: Mapping[str, UpstreamList]
    now: Callable[[], float]
    answers: Callable[[str], list[Recorded]] = lambda _: []
    reload: Callable[[], str] | None = None
    poll: Callable[[str, str], Asked] | None = None
    telemetry_path: str = "/metrics"
    external_url: str = ""
    max_requests: int = 40


@dataclass
class Gate:
    """How many scrapes may be under way at the same time, whatever their page (0: no limit), and how many are."""

    limit: int
    under_way: int = 0

    def enter(self) -> None:
        """One more is under way."""
        self.under_way += 1

    def leave(self) -> None:
        """One is written, or lost."""
        self.under_way -= 1

    @property
    def is_full(self) -> bool:
        """True while there is no room for one more."""
        return 0 < self.limit <= self.under_way

    def refusal(self) -> Response:
        """What the one too many is told."""
        text = f"{self.limit} scrapes are under way, which is the limit (--web.max-requests); try again later\n"
        return PlainTextResponse(text, 503, {"Retry-After": "5"})


class Scrape:
    """A page that is scraped: counted while it is made and written, refused when the gate is full."""

    def __init__(self, gate: Gate, answer: Callable[[Request], Response]) -> None:
        self._gate = gate
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it; a slow reader counts until all but its last bytes are written."""
        if self._gate.is_full:
            await self._gate.refusal()(scope, receive, send)
            return
        self._gate.enter()
        try:
            await self._answer(Request(scope, receive))(scope, receive, send)
        finally:
            self._gate.leave()

    def at_once(self, scope: Scope) -> Ready | None:
        """The page, ready to be written; None where there is more to say than a page."""
        answer = None if self._gate.is_full else self._answer(Request(scope))
        if not isinstance(answer, Streamed):
            return None
        self._gate.enter()
        return Ready(answer.head, answer.batches, self._gate.leave)


class Pages:
    """What is answered at each path."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lists = site.lists
        self._drawing, self._reading = Lock(), Lock()

    def metrics(self, request: Request) -> Response:
        """All operations and the exporter itself."""
        page = self._site.page()
        return NOT_YET if page is None else scraped(request, page, access_of(request.scope).names)

    def probe(self, request: Request) -> Response:
        """One operation's own families, from memory."""
        page = self._site.page()
        if page is None:
            return NOT_YET
        target = request.query_params.get("target", "")
        if target in page.operations and access_of(request.scope).sees(target):
            return scraped(request, page, frozenset({target}))
        what = f"unknown target {target!r}" if target else "the parameter target is missing"
        known = "it is the name of a configured operation, and /sd lists them"
        return PlainTextResponse(f"{what}: {known}, as in /probe?target=NAME\n", 400)

    async def discovery(self, request: Request) -> Response:
        """The targets for Prometheus's HTTP service discovery, one for each operation."""
        page = self._site.page()
        if page is None:
            return NOT_YET
        place = address(self._site.external_url, request.headers.get("host", ""))
        if place is None:
            return PlainTextResponse("the Host header is no host; set --web.external-url\n", 400)
        access = access_of(request.scope)
        return JSONResponse([target(name, *place) for name in page.operations if access.sees(name)])

    async def healthy(self, _: Request) -> Response:
        """Alive while the poller takes its turns."""
        if self._site.is_alive():
            return PlainTextResponse("wolkvox-exporter is healthy.\n")
        return PlainTextResponse("no turn of the poller began in the last 60 s; look at the log\n", 503)

    async def ready(self, _: Request) -> Response:
        """Ready with the first page; never dependent on the upstream."""
        if self._site.page() is None:
            return NOT_YET
        return PlainTextResponse("wolkvox-exporter is ready.\n")

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
        state = self._seen(request)
        return NOT_YET if state is None else JSONResponse({"operations": api.operations(state)})

    async def connectors(self, request: Request) -> Response:
        """The believed rows of every operation, or of one."""
        state = self._seen(request)
        if state is None:
            return NOT_YET
        rows = api.rows(state, self._lists["connectors"], request.query_params.get("operation") or None)
        return JSONResponse({"connectors": list(rows)})

    async def answers(self, request: Request) -> Response:
        """What the flight recorder has of one operation, newest first."""
        state, operation = self._site.state(), request.query_params.get("operation", "")
        if state is None:
            return NOT_YET
        if fault := api.unknown(access_of(request.scope).part(state), operation):
            return PlainTextResponse(f"{fault}\n", 400)

        def read() -> Response:
            return JSONResponse({"answers": [api.answer(operation, each) for each in self._site.answers(operation)]})

        try:
            async with self._reading:  # one after the other: they may be large
                return await run_in_threadpool(read)
        except StoreError as error:
            return PlainTextResponse(f"{error}\n", 503)

    def _seen(self, request: Request) -> State | None:
        """The part of the state that the visitor sees."""
        state = self._site.state()
        return None if state is None else access_of(request.scope).part(state)

    def _changes(self, access: Access, since: float, operation: str | None, limit: int) -> list[tuple[str, Change]]:
        """The newest changes of the operation, or of all, as far as the visitor sees them."""
        if access.names is None:
            return self._site.changes(since, operation, limit)
        names = access.names & {operation} if operation else access.names
        told = [each for name in names for each in self._site.changes(since, name, limit)]
        return sorted(told, key=lambda each: each[1].at, reverse=True)[:limit]

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


class Application(Starlette):
    """The whole site; an unknown path is 404, a wrong method 405."""

    def __init__(self, site: Site) -> None:
        pages, gate = Pages(site), Gate(site.max_requests)
        self._scrapes = {site.telemetry_path: Scrape(gate, pages.metrics), "/probe": Scrape(gate, pages.probe)}
        scrapes = [Route(path, scrape, methods=["GET"]) for path, scrape in self._scrapes.items()]
        steering = Steering(site.state, site.reload, site.poll, site.external_url)
        super().__init__(routes=[*scrapes, *others(pages), *steering.routes])
        self.router.redirect_slashes = False  # it would put the Host header, whatever that is, into a URL

    def at_once(self, scope: Scope) -> Ready | None:
        """The answer to a scrape without a detour; None for all other requests."""
        scrape = self._scrapes.get(scope["path"])
        return None if scrape is None else scrape.at_once(scope)


def others(pages: Pages) -> list[Route]:
    """What is no scrape."""
    return [
        Route("/sd", pages.discovery),
        Route("/-/healthy", pages.healthy),
        Route("/-/ready", pages.ready),
        Route("/api/v1/changes", pages.changes),
        Route("/api/v1/operations", pages.operations),
        Route("/api/v1/connectors", pages.connectors),
        Route("/", pages.overview),
        Route("/operations/{name}", pages.operation),
        Route("/api/v1/answers", pages.answers),
    ]


def encoded(text: str, *, compress: bool) -> bytes:
    """The bytes of a status page."""
    return gzip.compress(text.encode(), QUICKLY, mtime=0) if compress else text.encode()


def scraped(request: Request, page: Page, names: frozenset[str] | None) -> Response:
    """The page, or that of some operations, in the format and the coding that the request wants."""
    form, compress = wanted(request.headers.get("accept", ""), request.headers.get("accept-encoding", ""))
    return Streamed(page.stream(form, compress=compress, names=names), HEADERS[form, compress])


@lru_cache(maxsize=64)
def wanted(accept: str, codings: str) -> tuple[Format, bool]:
    """The format that the headers want, and whether compressed; few programs ask, always in the same words."""
    return OFFERS.get(preferred(accept, OFFERS) or DEFAULT, Format.TEXT), accepts_gzip(codings)


class Streamed(Response):
    """An answer of known length in batches: each is handed over when the reader has taken most of the one before."""

    def __init__(self, stream: Stream, headers: RawHeaders) -> None:
        self.batches = stream.batches
        self.status_code = 200
        self.background = None
        self.raw_headers = [*headers, (b"content-length", b"%d" % stream.size)]

    @property
    def head(self) -> bytes:
        """Status line and header lines, for who writes them himself."""
        return b"HTTP/1.1 200 OK\r\n" + b"".join([b"%s: %s\r\n" % pair for pair in self.raw_headers])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """The answer, as ASGI has it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for batch in self.batches:
            await send({"type": "http.response.body", "body": b"".join(batch), "more_body": True})
        await send({"type": "http.response.body"})


def seconds(request: Request, name: str, default: float) -> float:
    """A parameter as Unix seconds; ValueError with a sentence."""
    text = request.query_params.get(name, "")
    try:
        made = float(text) if text else default
    except ValueError:
        made = math.nan
    if not math.isfinite(made):
        raise ValueError(f"{name}: {text!r} is no time in Unix seconds, such as 1790000000")
    return made


def whole(request: Request, name: str, default: int) -> int:
    """A parameter as a whole number from 1 to `MOST`; ValueError with a sentence."""
    text = request.query_params.get(name, "") or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST or len(text) > len(str(MOST)):
        raise ValueError(f"{name}: {text!r} is no whole number from 1 to {MOST}")
    return int(text)


def address(external_url: str, host: str) -> tuple[str, str, str] | None:
    """Scheme, host with port, and path prefix under which Prometheus reaches us; None where the Host is none."""
    if external_url:
        parts = urlsplit(external_url)
        return parts.scheme, parts.netloc, parts.path.rstrip("/")
    return ("http", host, "") if HOST.fullmatch(host) else None


def target(name: str, scheme: str, host: str, prefix: str) -> dict[str, object]:
    """One target group of Prometheus's HTTP service discovery."""
    labels = {
        "__scheme__": scheme,
        "__metrics_path__": f"{prefix}/probe",
        "__param_target": name,
        "instance": name,
    }
    return {"targets": [host], "labels": labels}
