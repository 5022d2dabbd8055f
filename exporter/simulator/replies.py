"""Whole answers: the envelope, its encoding, the refusals that the vendor documents. Pure."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

Header = tuple[str, str]

JSON: Final[Header] = ("Content-Type", "application/json")
HTML: Final[Header] = ("Content-Type", "text/html; charset=utf-8")


class Reply(NamedTuple):
    """An answer that is well-formed as HTTP, whatever its body says."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (JSON,)


class Ask(NamedTuple):
    """What a scenario may look at: the list asked for, its rows, a refusal that is due, the knobs of `play`."""

    api: str
    rows: Sequence[Any]
    refusal: Reply | None = None
    seconds: float | None = None
    location: str | None = None
    target: str = "/"
    port: int = 0
    wall: float = 0.0

    @property
    def normal(self) -> Reply:
        """The answer that would be given without a scenario."""
        return self.refusal or (Reply(200, encode(envelope(self.rows))) if self.rows else NO_RECORDS)


def envelope(rows: Sequence[Any], **changes: Any) -> dict[str, Any]:
    """The vendor's object around `rows`, with any of its keys changed."""
    body = {"code": 200, "error": None, "msg": f"{len(rows)} records were found", "data": list(rows)}
    return {**body, **changes}


def encode(value: Any) -> bytes:
    """JSON in UTF-8; lone surrogates become the raw bytes they stand for, which is how text gets broken on purpose."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")


def refusal(status: int, msg: str) -> Reply:
    """An error as the vendor's page on response codes prints it."""
    error = HTTPStatus(status).phrase.upper()
    return Reply(status, encode(envelope((), code=status, error=error, msg=msg)))


def page(status: int, title: str) -> Reply:
    """An HTML page, as proxies and web servers put in the way."""
    html = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
    return Reply(status, html.encode(), (HTML,))


NO_TOKEN: Final = refusal(401, "PLEASE ENTER THE WOLKVOX-TOKEN")
VALIDATE_TOKEN: Final = refusal(403, "PLEASE VALIDATE TOKEN")
SIMULTANEOUS: Final = refusal(403, "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN (2)")
QUOTA: Final = refusal(403, "TOKEN LIMIT EXCEEDED")
PARAMETERS_REQUIRED: Final = refusal(400, "SOME PARAMETERS ARE REQUIRED")
UNKNOWN_API: Final = refusal(400, "THE API YOU WANT TO CONSULT DOES NOT EXIST")
# Clients saw this text for every list that has nothing to tell, also where no dates were asked.
NO_RECORDS: Final = refusal(404, "Validate dates entered")
NOT_FOUND: Final = page(404, "404 Not Found")
NOT_ALLOWED: Final = Reply(405, b"", (("Allow", "GET"), ("Connection", "close")))
