"""/metrics, /probe and /sd: what Prometheus asks for, in the format and the coding that it wants, a few at a time."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.access import access_of
from exporter.doorman import RawHeaders
from exporter.encoding import Format
from exporter.negotiation import Offer, accepts_gzip, preferred
from exporter.page import Page
from exporter.pieces import Stream
from exporter.protocol import Ready
from exporter.site import NOT_YET, Site

OFFERS: Final = {
    Offer("text/plain", "0.0.4"): Format.TEXT,
    Offer("text/plain", "1.0.0"): Format.TEXT_1,
    Offer("application/openmetrics-text", "1.0.0"): Format.OPENMETRICS,
}
HOST: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
DEFAULT: Final = Offer("text/plain", "0.0.4")


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

    def __init__(self, gate: Gate, answer: Callable[[Scope], ASGIApp]) -> None:
        self._gate = gate
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it; a slow reader counts until all but its last bytes are written."""
        if self._gate.is_full:
            await self._gate.refusal()(scope, receive, send)
            return
        self._gate.enter()
        try:
            await self._answer(scope)(scope, receive, send)
        finally:
            self._gate.leave()

    def at_once(self, scope: Scope) -> Ready | None:
        """The page, ready to be written; None where there is more to say than a page."""
        answer = None if self._gate.is_full else self._answer(scope)
        if not isinstance(answer, Streamed):
            return None
        self._gate.enter()
        return answer.ready(self._gate.leave)


class Scraping:
    """What is answered to Prometheus."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def metrics(self, scope: Scope) -> ASGIApp:
        """All operations and the exporter itself."""
        page = self._site.page()
        return NOT_YET if page is None else scraped(scope, page, access_of(scope).names)

    def probe(self, scope: Scope) -> ASGIApp:
        """One operation's own families, from memory."""
        page = self._site.page()
        if page is None:
            return NOT_YET
        target = Request(scope).query_params.get("target", "")
        if target in page.operations and access_of(scope).sees(target):
            return scraped(scope, page, frozenset({target}))
        what = f"unknown target {target!r}" if target else "the parameter target is missing"
        known = "it is the name of a configured operation, and /sd lists them"
        return PlainTextResponse(f"{what}: {known}, as in /probe?target=NAME\n", 400)

    async def discovery(self, request: Request) -> Response:
        """The targets for Prometheus's HTTP service discovery, one for each operation."""
        page = self._site.page()
        if page is None:
            return NOT_YET
        place = address(self._site.external_url, request.scope["scheme"], request.headers.get("host", ""))
        if place is None:
            return PlainTextResponse("the Host header is no host; set --web.external-url\n", 400)
        access = access_of(request.scope)
        return JSONResponse([target(name, *place) for name in page.operations if access.sees(name)])


class Wish(NamedTuple):
    """How a page is wanted, and the headers of the answer but for its length: as ASGI has them, and as lines."""

    form: Format
    compress: bool
    headers: RawHeaders
    lines: bytes


def scraped(scope: Scope, page: Page, names: frozenset[str] | None) -> ASGIApp:
    """The page, or that of some operations, in the format and the coding that the request wants."""
    wish = wanted(first(scope, b"accept"), first(scope, b"accept-encoding"))
    return Streamed(page.stream(wish.form, compress=wish.compress, names=names), wish)


def first(scope: Scope, name: bytes) -> bytes:
    """The first of the request's headers of this name, b"" where there is none."""
    headers: RawHeaders = scope["headers"]
    for each, value in headers:
        if each == name:
            return value
    return b""


@lru_cache(maxsize=64)
def wanted(accept: bytes, codings: bytes) -> Wish:
    """What the headers want; few programs ask, always in the same words."""
    form = OFFERS.get(preferred(accept.decode("latin-1"), OFFERS) or DEFAULT, Format.TEXT)
    compress = accepts_gzip(codings.decode("latin-1"))
    coding = [(b"content-encoding", b"gzip")] if compress else []
    headers = [(b"content-type", form.value.encode()), (b"vary", b"Accept, Accept-Encoding"), *coding]
    return Wish(form, compress, headers, b"".join([b"%s: %s\r\n" % pair for pair in headers]))


class Streamed:
    """An answer of known length in batches: each is handed over when the reader has taken most of the one before."""

    def __init__(self, stream: Stream, wish: Wish) -> None:
        self._stream = stream
        self._wish = wish

    def ready(self, done: Callable[[], None]) -> Ready:
        """The answer for who writes it himself, and calls `done` at its end."""
        head = b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n" % (self._wish.lines, self._stream.size)
        return Ready(head, self._stream.batches, done)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """The answer, as ASGI has it."""
        headers = [*self._wish.headers, (b"content-length", b"%d" % self._stream.size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for batch in self._stream.batches:
            await send({"type": "http.response.body", "body": b"".join(batch), "more_body": True})
        await send({"type": "http.response.body"})


def address(external_url: str, scheme: str, host: str) -> tuple[str, str, str] | None:
    """Scheme, host with port, and path prefix under which Prometheus reaches us; None where the Host is none."""
    if external_url:
        parts = urlsplit(external_url)
        return parts.scheme, parts.netloc, parts.path.rstrip("/")
    return (scheme, host, "") if HOST.fullmatch(host) else None


def target(name: str, scheme: str, host: str, prefix: str) -> dict[str, object]:
    """One target group of Prometheus's HTTP service discovery."""
    labels = {
        "__scheme__": scheme,
        "__metrics_path__": f"{prefix}/probe",
        "__param_target": name,
        "instance": name,
    }
    return {"targets": [host], "labels": labels}
