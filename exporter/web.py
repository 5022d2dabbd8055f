"""The ASGI application: /metrics, /probe, /sd, /api, health, reload and the landing page. Answers from memory alone."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from exporter import api
from exporter.access import Access, access_of
from exporter.encoding import Format
from exporter.few import Few
from exporter.model import Change
from exporter.negotiation import Offer, accepts_gzip, preferred
from exporter.page import Page
from exporter.pieces import Stream
from exporter.protocol import Ready
from exporter.spec import UpstreamList
from exporter.state import State
from exporter.store import StoreError

OFFERS: Final = {
    Offer("text/plain", "0.0.4"): Format.TEXT,
    Offer("text/plain", "1.0.0"): Format.TEXT_1,
    Offer("application/openmetrics-text", "1.0.0"): Format.OPENMETRICS,
}
SAFE: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
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
DEFAULT: Final = Offer("text/plain", "0.0.4")
OPENAPI: Final = Path(__file__).with_name("openapi.json").read_bytes()
NOT_YET: Final = PlainTextResponse("the first page is not rendered yet\n", 503)
LANDING: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wolkvox-exporter</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
</style>
</head>
<body>
<h1>wolkvox-exporter $version</h1>
<ul>
<li><a href="$metrics">Metrics</a> of all operations</li>
<li><a href="sd">Targets</a> for Prometheus's HTTP service discovery</li>
<li><a href="-/healthy">Healthy</a>, <a href="-/ready">ready</a></li>
</ul>
<h2>Operations</h2>
<ul>$operations</ul>
</body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages need of the rest: each is a question that is answered at once.

    `page` is the newest one, None before the first, and so is `state`; `changes` reads the journal by time, operation
    and number, newest first, StoreError; `reload` reads the configuration again and gives the faults as
    text, "" for none; it is None where the life cycle may not be steered over HTTP.
    """

    page: Callable[[], Page | None]
    state: Callable[[], State | None]
    changes: Callable[[float, str | None, int], list[tuple[str, Change]]]
    is_alive: Callable[[], bool]
    version: str
    lists: Mapping[str, UpstreamList]
    reload: Callable[[], str] | None = None
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
        # Whether names may be shown is known of operations alone: without one, none is.
        shown = state is not None and bool(state.operations) and all(each.names for each in state.operations)
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

    async def openapi(self, _: Request) -> Response:
        """What /api/v1 and its neighbours take and give, as OpenAPI 3.1."""
        return Response(OPENAPI, media_type="application/json")

    async def reload(self, request: Request) -> Response:
        """Reads the configuration again; a bad one leaves the running one in place."""
        if access_of(request.scope).is_bound:
            return PlainTextResponse("a reload concerns all operations, and this visitor is bound to some\n", 403)
        if self._site.reload is None:
            return PlainTextResponse("start with --web.enable-lifecycle to allow a reload over HTTP\n", 403)
        faults = await run_in_threadpool(self._site.reload)
        if faults:
            return PlainTextResponse(f"the running configuration stays:\n{faults}\n", 500)
        return PlainTextResponse("the configuration was reloaded\n")

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

    async def landing(self, request: Request) -> Response:
        """Where to go from here."""
        page = self._site.page()
        links = "".join(
            f'<li><a href="probe?target={escape(name)}">{escape(name)}</a></li>'
            for name in (page.operations if page else ())
            if access_of(request.scope).sees(name)
        )
        text = LANDING.substitute(
            version=escape(self._site.version), metrics=escape(self._site.telemetry_path.lstrip("/")), operations=links
        )
        return HTMLResponse(text, headers=SAFE)


class Application(Starlette):
    """The whole site; an unknown path is 404, a wrong method 405."""

    def __init__(self, site: Site) -> None:
        pages, gate = Pages(site), Gate(site.max_requests)
        self._scrapes = {site.telemetry_path: Scrape(gate, pages.metrics), "/probe": Scrape(gate, pages.probe)}
        scrapes = [Route(path, scrape, methods=["GET"]) for path, scrape in self._scrapes.items()]
        super().__init__(routes=[*scrapes, *others(pages)])
        self._few = Few(super().__call__)
        self.router.redirect_slashes = False  # it would put the Host header, whatever that is, into a URL

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        answer = self._few if scope["path"].startswith("/api/") else super().__call__
        await answer(scope, receive, send)

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
        Route("/-/reload", pages.reload, methods=["POST"]),
        Route("/api/v1/changes", pages.changes),
        Route("/api/v1/operations", pages.operations),
        Route("/api/v1/connectors", pages.connectors),
        Route("/api/v1/openapi.json", pages.openapi),
        Route("/", pages.landing),
    ]


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
